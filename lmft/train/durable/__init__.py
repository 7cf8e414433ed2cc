"""What a run survives.

jobkey.py      what makes a job that job; its frozen recipe
record.py      run.json: how each attempt went
runs.py        a run's directory, owned by one process at a time
reopen.py      a run to go on with
checkpoint.py  whole or not there, proven by hash before use
resuming.py    the Trainer's saving and loading over such checkpoints
stopping.py    SIGTERM and Ctrl-C
memory.py      telling too little memory from other errors
survive.py     when to keep a checkpoint; too little memory; what is told at the end
"""
