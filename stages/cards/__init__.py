"""Cards: what a person should know of a curated set, computed from it."""
