"""Training: from the finished steps of a workspace to a candidate checkpoint."""
