"""The contestants of bench/train.py: each trains a few steps and says how long each took.

shapes.py  models with random weights, and blocks of random tokens
ours.py    lmft's own trainer, as `lmft train` uses it
stock.py   TRL's SFTTrainer as it comes, with packing
lean.py    a bare loop over the same maths: the limit
"""
