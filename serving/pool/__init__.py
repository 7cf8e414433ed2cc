"""Which models can be asked, and by which engine.

pool.py      every model of a server: leasing, listing, deleting, giving the device up
names.py     what a name means: a base, a version of an adapter, an alias
catalog.py   what there is on disk: adapters, the bases they were trained over
base.py      a base as it is served
deploy.py    aliases: which version each means, and how a new one takes its place
wishes.py    what the store says of them
members.py   all engines: which one serves what
room.py      whose memory the next one gets
member.py    one engine over its life: asleep, starting, ready, failed
starts.py    its starts: the one that answers, those beside it
growing.py   larger slots: the next one beside the one that answers
estimate.py  how long a start takes, and how much memory
failures.py  how often it may fail
watchdog.py  has it ended, or does it hang?
running.py   one start of an engine
adapters.py  the adapters that it has loaded and proven
proving.py   loading one and proving it
plan.py      what an engine is to run; limits that a person may set
memory.py    what engines may take, will need, and have taken
merging.py   an adapter merged into its base, by a process of its own
device.py    room for trainings: when they want it
lending.py   and every engine stopped for them, and started again
listing.py   the list of models
leasing.py   waiting until a model can be asked
lease.py     a model that may be asked now, held while it is being asked
served.py    what is handed out
tally.py     what an engine has done, for /metrics
"""
