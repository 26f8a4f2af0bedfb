"""Curation: which clips of a labelled archive make a training set. Pure functions of tables; no paths, no files."""
