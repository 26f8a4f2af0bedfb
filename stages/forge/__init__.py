"""Forge: turns stretches of real video into forgeries of which every frame's truth is known. One file a kind or concern."""
