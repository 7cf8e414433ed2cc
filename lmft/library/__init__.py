"""What people make with the models and want to keep, per project, in the store.

kinds.py        ids and words of each kind of object; what is missing or out of date
listing.py      one page of a list
once.py         a request that is sent twice makes one thing
story.py        a story as a value and a row, stories.py: made, listed, changed
turn.py         a turn as a value and a row, turns.py: trees that only grow
walking.py      from a story's beginning to one of its turns
texts.py        a story as text to read, and as messages to train on
comparisons.py  a prompt and several answers to it
votes.py        which answer was better; who won how often
edits.py        gold edits: how a reply should have been
entry.py        what may train, inbox.py: and what was decided about it
training.py     accepted entries as a training file
presets.py      named sampler values
purge.py        what was deleted long ago goes
"""
