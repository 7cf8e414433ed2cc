"""What a person sees of a compiled corpus before it is trained on.

plain.py            harmless text, sizes, shares and counts, for page and terminal alike
style.py            the page's style
page.py             safe HTML, lists, tables and bars, and the frame around them
summary.py          the head of the page: verdict and numbers
content.py          its sections on what the corpus holds
tokens.py           its section on the exact tokens that the model will see
findings.py         its sections on what was left out, is personal or was bad
html.py             the page: all of it, from the verdict to the last note
terminal_tokens.py  the tokens on the terminal
terminal.py         the summary on the terminal
json_report.py      all of it as JSON
"""
