"""FastAPI in front of the engine: OpenAI's shapes, the format contract applied.

app.py       builds the application
guard.py     key, host and origin: one middleware, deny by default
schemas.py   what a request may say; everything else is refused
errors.py    lmft's exceptions -> OpenAI's error shape
sampling.py  request + contract -> what vLLM is asked
answers.py   what vLLM says -> OpenAI's objects
routes/      one file a surface
"""
