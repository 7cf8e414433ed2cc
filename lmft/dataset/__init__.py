"""Documents -> token blocks.

encode.py      a document to token ids and the mask of what is learnt
checks.py      faults of a corpus that ruin a fine-tune
preflight.py   both sides looked at as tokens, before any training
blocks.py      all documents to dense blocks of one length
"""
