"""What bench/serving.py and the soak test measure with.

loadtool.py   vLLM's own load tool, in a process that stays
load.py       asks it
adapters.py   many adapters out of one, each with a reference of its own
running.py    a server with its engine, and the way to the engine behind it
live.py      a new version goes live under traffic
rivals.py    vLLM with its own operators, and transformers
soak.py       streams for minutes while adapters come and go, and the memory meanwhile
"""
