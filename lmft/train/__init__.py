"""Recipe and documents -> adapter.

recipe.py      the YAML document and its checks
servable.py    what vLLM can serve: asked before training starts
plan.py        what `auto` means on this machine, and why
prepare.py     all that can be known, and refused, before the heavy imports
environment.py what the libraries read from the environment
model.py       the base in 4-bit with a LoRA on it
trainer.py     TRL's trainer without what is slow in it
progress.py    what the person sees meanwhile
variant.py     the base that is served: dequantised once
reference.py   what the adapter answers in transformers, for the parity probe
run.py         all of it in order; reads like the recipe of the job
"""
