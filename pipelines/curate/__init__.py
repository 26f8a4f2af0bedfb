"""`fauscan curate`: reads the workspace's tables and the store, and writes a curated set."""
