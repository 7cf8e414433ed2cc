"""An engine (vLLM, or local/ for what vLLM does not run), kept where no user can reach it.

settings.py  what it serves, and how its process is told
process.py   start, wait until it answers, stop; no orphan whatever happens
child.py     the first lines that run in vLLM's process
client.py    HTTP over the Unix socket; refusals.py: what it raises
work.py      what it shows of its work while it gives no answer
probe.py     is the served adapter the trained one? reference.py: what it should answer;
             mixed.py: and in a batch with others
local/       our own engine, over transformers
"""
