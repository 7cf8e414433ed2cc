"""FastAPI in front of the engine: OpenAI's shapes, the format contract applied.

app.py       builds the application; state.py: what the routes share
access/      who may ask, and how much at once
schemas/     what a request may say, and what an answer does
errors.py    lmft's exceptions -> OpenAI's error shape
routes/      one file a surface
asking.py    one request to one model: admission, lease, answer, all given back
chat_prompt.py  messages -> the tokens that a model is asked with
sampling.py  request + contract -> what vLLM is asked
tools.py     a model's text -> messages and calls of tools
answers.py   what vLLM says -> OpenAI's objects
events.py    an answer as server-sent events
multipart.py a form with a file, streamed to where it is kept
uploading.py how many uploads are under way, and for how long
sweeping.py  what has expired goes
documents.py the OpenAPI document
"""
