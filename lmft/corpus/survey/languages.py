"""Which language a text is in."""

from __future__ import annotations

import re
from functools import cache

from py3langid.langid import LanguageIdentifier

_HEAD_CHARACTERS = 6_000
_SAMPLE_LETTERS = 600
_MIN_LETTERS = 60
# Half: prose scores above 0.9; a list of names or a table scores under 0.3 for its best guess.
_MIN_PROBABILITY = 0.5
# Tags, entities, addresses, macros in braces and Twine's or a wiki's links.
_MARKUP = re.compile(
    r"<[^<>]{0,300}>|&#?\w{1,10};|\w{2,8}://\S{1,300}|\{[^{}]{0,300}\}|\[\[[^\[\]]{0,300}\]\]"
)
_LETTERS = re.compile(r"[^\W\d_]+")
# The model's own code for what is in no language.
_NO_LANGUAGE = "zxx"


def language_of(text: str) -> str | None:
    """ISO 639-1 code of the language of the text's beginning (about 600 letters).

    None when there are fewer than 60 letters outside markup, or when no language has a
    probability of at least 0.5. Naive Bayes on byte n-grams (Lui and Baldwin, "langid.py", 2012).
    """
    sample = _sample(text)
    if sum(map(str.isalpha, sample)) < _MIN_LETTERS:
        return None
    code, probability = _identifier().classify(sample)
    return str(code) if probability >= _MIN_PROBABILITY and code != _NO_LANGUAGE else None


def _sample(text: str) -> str:
    plain = _MARKUP.sub(" ", text[:_HEAD_CHARACTERS])
    n_letters = 0
    for word in _LETTERS.finditer(plain):
        n_letters += len(word.group())
        if n_letters >= _SAMPLE_LETTERS:
            # Text without spaces is one long word.
            return plain[: word.end() - (n_letters - _SAMPLE_LETTERS)]
    return plain


@cache
def _identifier() -> LanguageIdentifier:
    """The model is loaded once (about 1 s), with only the languages that ISO 639-1 knows."""
    identifier = LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
    identifier.set_languages(
        [label for label in identifier.labels if len(label) == 2 or label == _NO_LANGUAGE]
    )
    return identifier
