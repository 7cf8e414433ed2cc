"""Our own engine, for what vLLM cannot run: transformers and PEFT behind vLLM's few calls.

A process of its own, and the only one of serving beside vLLM's that loads torch. transformers'
continuous batching is not used: it wants attention that goes through its registry, which GPT-Neo's
does not, and it knows no adapters. PEFT's mixed batches and transformers' caches and logits
processors are.

child.py        the process: its arguments, its life
app.py          the routes, the key, loading and unloading
engine.py       what the routes work with
completions.py  a question and its answer; what a closed connection means
question.py     what a request may say
choices.py      vLLM's shapes of an answer
runner.py       one thread that steps the batch; sequences in, pieces out
batch.py        sequences that run together: join, step, leave
sequence.py     one sequence from its prompt to its end
sampling.py     from logits to a token, with vLLM's meaning of the sampler's fields
text.py         tokens to text as it grows, and the stop strings in it
model.py        base and adapters: two forward calls
"""
