"""What a request may say, and what an answer does. Everything else is refused.

requests.py     completions and plays, and the fields that all share
chat.py         messages, tools, the form of an answer
tokens.py       tokenization
files.py        files and uploads
foreign.py      fields of other servers that have no use here, and what to say of them
json_schema.py  bounds of a schema that an answer is to obey
objects.py      answers, as the OpenAPI document describes them
"""
