"""Exports: a curated set, written as files for other tools."""
