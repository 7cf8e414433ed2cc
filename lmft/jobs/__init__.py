"""Fine-tuning jobs that are never lost: asked for over HTTP or the command line, kept in the
store, trained by one worker, each in a process of its own. docs/jobs.md draws it.

states.py, job.py       the states and what may follow which; a job as a value
queue.py, events.py     jobs created, listed, asked to stop or go on; what is said of them
request.py, presets.py  OpenAI's body of a job, and the recipe that it comes to
creation.py, starts.py  a new job in one transaction; what its `model` means
objects.py, follow.py   what clients see of it; sources.py for the command line

A worker's side:
worker.py, seat.py      its loop; who of several is at work
taking_over.py          what a worker that is gone left in hand
validating.py           a job whose files are looked at
attending.py            an attempt from its claim to its end: following.py tells what goes on,
                        concluding.py what an end means, deployed.py brings the model to people,
                        results.py writes its figures
attempts.py             what of all that is written, each call a transaction
executors/              where processes run
folder.py, spec.py      what worker and processes tell each other; laid_out.py fills it
housekeeping.py         webhooks sent, what is over removed; leftovers.py: of a run

A job's own process:
child.py                validation.py or training.py, by the recipe of chosen_recipe.py

No torch but in the trainer's process.
"""
