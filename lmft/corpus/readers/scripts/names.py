"""Could these words be the name of somebody who speaks?"""

from __future__ import annotations

from lmft.corpus.cast import MAX_NAME_CHARACTERS

_PARTICLE_WORDS = "of the in on at with and a an from to de la le du des von van der den"
_SAYING_WORDS = "said says say asked replied answered cried wrote added thought"
# Heads of letters, catalogues, logs and scenes: a colon after them does not make them speak.
_FIELD_WORDS = """
    title author date from to cc bcc subject re language encoding source url http https tags
    category description version credit draft copyright contact name type default returns raises
    args usage example note notes info warn warning error debug fatal trace todo fixme
    act scene setting place time curtain characters cast
"""
_TITLE_WORDS = "mr mrs ms mme mlle dr st rev capt col serg sergt"
_PARTICLES = frozenset(_PARTICLE_WORDS.split())
_SAYING = frozenset(_SAYING_WORDS.split())
_NO_NAMES = frozenset(_FIELD_WORDS.split())
_TITLES = frozenset(_TITLE_WORDS.split())


def may_be_name(name: str) -> bool:
    """`CLAIRE`, `First Lord`, `Man in black`; not `He said`, `Title`, `MRS` or `and so`."""
    words = name.split()
    return (
        len(name) <= MAX_NAME_CHARACTERS
        and any(character.isalpha() for character in name)
        and not words[0][0].islower()
        and words[0].casefold() not in _NO_NAMES
        and words[-1].casefold().rstrip(".") not in _TITLES
        and words[-1].casefold() not in _SAYING
    )


def is_proper(name: str) -> bool:
    """Every word but `of`, `the` and the like begins with a capital, where there are capitals."""
    return all(not word[0].islower() or word in _PARTICLES for word in name.split())


def is_capitals(name: str) -> bool:
    """`CLAIRE`; also what has no small letters, such as Chinese."""
    return name.upper() == name and any(character.isalpha() for character in name)
