"""One machine for training and serving: who holds its memory, and who makes room for whom.

registered.py  a record that others can read for as long as its process lives
records.py     what trainings and servers tell of themselves
memory.py      what is free for a training, beside the servers and in their place
hold.py        the trainer's side: its turn, the servers out of the way, progress
claims.py      the server's side: who wants the device, and for how long
priority.py    on a CPU both run, and training steps back
"""
