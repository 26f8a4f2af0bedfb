"""Exports: rows of a curated set as other tools want them. Pure: rows in, records and bytes out."""
