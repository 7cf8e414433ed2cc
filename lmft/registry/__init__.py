"""Adapters on disk: immutable directories, found by id, verified by hash.

adapters.py   the manifest; list, get, verify
card.py       README.md, the model card
"""
