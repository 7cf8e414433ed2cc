"""Where the work of jobs is done.

base.py   the interface: submit, poll, cancel, logs, collect
local.py  processes on this machine
"""
