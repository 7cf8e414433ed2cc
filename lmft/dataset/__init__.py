"""Documents -> token blocks.

encode.py   a document to token ids and the mask of what is learnt
blocks.py   all documents to dense blocks of one length
"""
