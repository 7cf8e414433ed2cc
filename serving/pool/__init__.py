"""Which models can be asked, and by which engine.

pool.py      names -> leases; adding, deleting, giving the device up
catalog.py   what there is on disk: adapters, the bases they were trained over
deploy.py    aliases: which version each means, and how a new one takes its place
members.py   all engines; whose memory the next one gets
member.py    one engine over its starts and ends
running.py   one start of an engine
adapters.py  the adapters that it has loaded and proven
plan.py      what an engine is to run; limits that a person may set
memory.py    what engines may take, will need, and have taken
merging.py   an adapter merged into its base, by a process of its own
device.py    room for trainings
listing.py   the list of models
lease.py     a model that may be asked now, held while it is being asked
served.py    what is handed out
tally.py     what an engine has done, for /metrics
"""
