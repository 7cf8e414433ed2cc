"""Learning from preferences with TRL's DPO and KTO trainers, on our own tokens.

batches.py    pairs to the batches that TRL's losses expect
logprobs.py   log-probabilities of answers, under the model and under its reference
heldout.py    how many held-out pairs the model gets right
trainer.py    TRL's two trainers, without what they would change on the way
"""
