"""Which models can be asked, and by which engine.

lease.py   a model that may be asked now, held while it is being asked
pool.py    names -> leases; the engines' lives
"""
