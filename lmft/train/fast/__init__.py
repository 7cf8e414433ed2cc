"""What makes a training step fast; each piece equals the plain formula, as its test shows.

segments.py   which documents share a block, so that attention can be cut between them
attention.py  attention over blocks: dense where one document fills them, cut where several do
linear.py     frozen linear + LoRA in one step, without casts of the activations
head.py       the loss without ever holding all logits
compiling.py  torch.compile for one transformer block, used for all
install.py    puts all of it into a model
"""
