"""Training: from labelled clips to a calibrated checkpoint."""
