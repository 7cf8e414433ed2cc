"""What people upload, kept by content. No torch.

names.py      a file's name: as it is shown, and as it may stand on disk
accepted.py   what is taken in: text and books, no archive, program or pickle
blobs.py      contents on disk under `$LMFT_HOME/files`, each once, whole or not at all
locking.py    a file that is locked as long as it is written
file.py       one file, its row, and what can be wrong with it
layout.py     files laid out in a directory for a reader
files.py      the files of a store
limits.py     how large they may be
room.py       room for what is announced
upload.py     one upload, its parts and their rows
joining.py    its parts, put together
uploads.py    a file that comes in parts
sweep.py      what has expired, and what killed processes left
"""
