"""What a run will take, before it is started; and what `auto` means on this machine.

shape.py      what a base's config says of its layers
flops.py      arithmetic of a token; hardware.py: what the processors can do, and their watts
memory.py     what a training step holds; disk.py: what a run writes
speed.py      how long it takes, and whether compiling pays
room.py       the free memory, and what to say where it is too little
fit.py        micro-batch, checkpointing and 4-bit until it fits
plan.py       all choices, each with its reason
probe.py      the speed measured on a few real steps
estimate.py   time, energy, cost; plan_shown.py: all of it for a person
"""
