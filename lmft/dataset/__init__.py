"""Documents -> token blocks.

encode.py      a document to token ids and the mask of what is learnt
preference.py  a preference as the two conversations that it compares
count.py       the exact tokens of documents
checks.py      faults of a corpus that ruin a fine-tune
examples.py    which documents a person is shown
naming.py      what sentences call the text
preflight.py   both sides looked at as tokens, before any training
blocks.py      all documents to dense blocks of one length
"""
