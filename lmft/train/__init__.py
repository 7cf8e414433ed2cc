"""Recipe and documents -> adapter.

recipe.py      the YAML document and its checks
servable.py    what vLLM can serve: asked before training starts
plan.py        what `auto` means on this machine, and why
prepare.py     all that can be known, and refused, before the heavy imports
environment.py what the libraries read from the environment
model.py       the base in 4-bit with a LoRA on it
trainer.py     transformers' Trainer without what is slow in it
watch/         what the person sees meanwhile, and the run report
variant.py     the base that is served: dequantised once
reference.py   what the adapter answers in transformers, for the parity probe
loaded.py      the model of a job, read once for all attempts of a process
publish.py     a trained model to an adapter's directory
processes.py   more than one process: who prints, who waits
run.py         all of it in order; reads like the recipe of the job

What a job survives:

jobkey.py      what makes a job that job; its frozen recipe
record.py      run.json: how each attempt went
runs.py        a run's directory, owned by one process at a time
reopen.py      a run to go on with
checkpoint.py  whole or not there, proven by hash before use
resuming.py    the Trainer's saving and loading over such checkpoints
stopping.py    SIGTERM and Ctrl-C
survive.py     when to keep a checkpoint; too little memory; what is told at the end
"""
