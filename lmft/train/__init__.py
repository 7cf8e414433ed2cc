"""Recipe and documents -> adapter.

recipe.py      the YAML document and its checks
servable.py    how each architecture is served: asked before training starts
planning/      what it will take, and what `auto` means on this machine
continued.py   what a job takes over from the adapter that it goes on from
fitting.py     whether corpus and recipe fit each other
prepare.py     all that can be known, and refused, before the heavy imports
environment.py what the libraries read from the environment
processes.py   more than one process: who prints, who waits
model.py       the base, perhaps in 4-bit, with a LoRA on it; fast/: what makes its steps fast
holding.py     the device, held while the job trains on it; see lmft/device
loaded.py      the model of a job, read once for all attempts of a process
batches.py     blocks to batches: which in which step, as which tensors
trainer.py     transformers' Trainer without what is slow in it; preference/: DPO and KTO
durable/       checkpoints, runs, going on after anything
epochs.py      the adapter at the ends of epochs, kept to be published as checkpoints
watch/         what the person sees meanwhile, and the run report
weights.py     PEFT's two files of an adapter
variant.py     the base that is served: dequantised once
reference.py   what the adapter answers in transformers, for the parity probe
merged.py      adapter and base as one model, where no LoRA can be served
publish.py     a trained model, and the epochs kept of it, to adapters' directories
run.py         all of it in order; reads like the recipe of the job
"""
