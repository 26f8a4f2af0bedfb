"""Datasets: what the published ones, and our own forge, say of their files, as one table of truth."""
