"""Branching stories to transcripts, every branch once.

tree.py           passages and choices to adventures
actions.py        a choice's text to the player's line
ai_dungeon.py     `action_results`
twine.py          Twee and published HTML (twine_html.py); twine_markup.py: their markup to text,
                  twine_links.py, twine_sugarcube.py, twine_harlowe.py
ink.py            compiled JSON; ink_machine.py tells it as on a first visit: ink_container.py,
                  ink_calls.py, ink_values.py, ink_text.py
"""
