"""The commands of `fauscan`, a file for each panel of its help. They import what they need when they run."""
