"""Bytes -> documents: decode, read, split.

decode.py    bytes to text
read.py      files and folders to documents
split.py     train and held-out, by document
compile.py   all of it, with what was found
"""
