"""What a person sees of a training: while it runs, and afterwards.

journal.py      rows as JSON lines, cut back to the checkpoint when a run goes on
clock.py        seconds of training, without evaluations
memory.py       peak memory
rate.py         tokens per second and MFU
bar.py          the bar in a terminal, a line per tenth in a log
evaluation.py   when and on what the held-out loss is measured, without disturbing training
energy.py       kWh and CO2, measured or estimated
history.py      what the run has come to, read from its rows
curve.py        the loss curve, PNG and SVG
machine.py      the machine and the libraries, in words
report.py       what the run report says
page.py         the run report as HTML
closing.py      the last lines in the terminal
tensorboard.py  scalars for TensorBoard
trackers.py     Weights & Biases, MLflow: only where the recipe names them
record.py       the files of a run, and what they say of its earlier attempts
callback.py     what is done at the trainer's events
watch.py        all of it around one training
"""
