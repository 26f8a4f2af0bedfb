"""Weights that do not ship with FauScan: what there is, where it lies, how it gets there, and whether it is what it should be."""
