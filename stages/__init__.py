"""One file, one step: Arrow table in, Arrow table out. Models and decoders live here; no Ray, no DVC, no paths."""
