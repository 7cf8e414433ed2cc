"""Adapters on disk: immutable directories, found by id, verified by hash.

adapters.py   the manifest; list, get, verify
card.py       README.md, the model card
show.py       adapters on the terminal
traffic.py    what an adapter was asked and how it answered: counts by window
traffic_files.py  those counts on disk
"""
