"""Weights that ship with FauScan, each with a model card beside it. Holds no code."""
