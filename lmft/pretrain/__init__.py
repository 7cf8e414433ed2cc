"""A small causal LM from text: from nothing, or going on from a base.

recipe.py      what is to be made: YAML, all faults at once
folder.py      where: one owner at a time, one recipe
text.py        documents of a text file, an .xz or a compiled corpus; which are held out
second.py      narration in the first person as narration in the second, with typed actions
dialogue.py    exchanges between two people, as `Name: words`
chat.py        conversations between control tokens
vocabulary.py  a tokenizer, and text as token ids on disk
data.py        all of that for a recipe
shape.py       the model, new or taken over
muon.py        the optimizer of the blocks' matrices
steps.py       the schedule, the batches, one training step
measure.py     held-out nats per byte, samples
watching.py    what a person and a file are told of each step
keeping.py     checkpoints: what a killed run goes on from
export.py      the base's directory, as lmft.bases reads it
loop.py        the steps, from the newest checkpoint to the last one
run.py         all of it, in order

Neither TRL nor PEFT is imported: it runs where torch and transformers do.
"""
