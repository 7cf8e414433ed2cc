"""Plays, screenplays and game scripts to scenes of named turns.

layout.py      how a script sets its names; labels.py, marks.py, names.py: what a line is
directions.py  which lines are stage directions
turns.py       lines to turns
front.py       cast lists and what stands before the first scene
speakers.py    one name for each speaker; spelling.py: which spellings are one
unwrap.py      a speech's wrapped lines joined, its verse kept
script.py
"""
