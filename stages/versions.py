"""Versions: one number a stage, raised whenever its output changes for the same input. Part of every fingerprint.

They live apart from the stages so that a driver can tell what is done without importing torch, which takes seconds.
"""

INVENTORY = 2
FACES = 2
PATCHES = 1  # what backend pyfeat makes of a video, on top of FACES
FAU = 1
AUDIO = 1
SCORE = 1
LABEL = 1
SEGMENTS = 1
REPORT = 2
EVALUATE = 2
CURATE = 1
LOOKS = 1
