"""Files -> a compiled corpus: documents on two sides, train and held-out.

In the order in which text goes through:

source.py         the files that go in, named for people; decode.py, magic.py: bytes to text
readers/          one module a format: a file to documents (documents.py)
prose/            what the readers of prose share: clean, unwrap, scenes
sentences.py      whether a text starts or stops inside a sentence
gather.py         all files to the spool (spool.py, document_rows.py), and on the way
  mojibake.py       repaired
  parts.py          long documents cut
  survey/           languages, person, secrets, letters counted
  duplicates.py     MinHash signatures, 128 bytes a document (word_hashes.py)
convert.py        one kind (kinds.py), roles for all speakers (cast.py), no repeats
split.py          what may be held out; overlap.py: whether it leaks; apart.py: what does not
store.py          train.jsonl, heldout.jsonl
describe.py       corpus.json (info.py): counts, and all that was found (findings.py)
build.py          the whole way
compiled.py       the whole way to a folder, or to the data directory for a recipe
"""
