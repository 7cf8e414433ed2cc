"""Who may ask, and how much at once.

guard.py      key, host and origin: one middleware, deny by default
keyring.py    the keys of the store, as the guard knows them
callers.py    who is asking, and what they may do
protocol.py   the head of a request: bounded before anybody is known
limits.py     its body: bounded while it comes
admission.py  how many requests run and wait
queue.py      whose turn it is; buckets.py: so many a minute
access.py     all of it, as it is set up at the start
"""
