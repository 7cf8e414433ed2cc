"""vLLM, kept where no user can reach it.

process.py   start, wait until it answers, stop; no orphan whatever happens
child.py     the first lines that run in the child
client.py    HTTP over the Unix socket
probe.py     is the served adapter the trained one?
live.py      which adapters are loaded and proven
"""
