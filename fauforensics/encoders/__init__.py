"""Encoders: from pixels, action units and sound to one token a tick."""
