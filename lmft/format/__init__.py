"""The format contract: one description of turns, stops and trimming, obeyed on both sides.

contract.py   the contract itself, `lmft_format.json`
fold.py       typographic quotes to straight ones
render.py     turns and messages to the text the model sees
trim.py       the model's text to what a person reads
"""
