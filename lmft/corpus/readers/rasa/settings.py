"""Files of a Rasa project that hold settings: known, so that they are no faults, and not learnt."""

from __future__ import annotations

import re

from lmft.corpus.source import SourceFile

_SUFFIXES = (".yml", ".yaml")
_KEY = re.compile(r"^([A-Za-z_][\w.-]*)[^\S\n]*:(?=\s|\Z)", re.MULTILINE)
_WORDS = re.compile(r"^[^\S\n]*[^\s#]", re.MULTILINE)
_NAME = re.compile(r"(?:config|endpoints|credentials|domain)\b[\w.-]*\.ya?ml\Z")
# For each kind of file: a key that says it, and all that Rasa knows beside it.
_KINDS = (
    (
        frozenset(("pipeline", "policies", "recipe")),
        frozenset(("version", "language", "additional_languages", "assistant_id", "importers")),
    ),
    (
        frozenset(("action_endpoint", "nlg", "tracker_store", "event_broker", "lock_store")),
        frozenset(("version", "models", "model_groups", "model_storage", "nlu", "vector_store")),
    ),
    (
        frozenset(("intents", "slots", "forms", "session_config")),
        frozenset(("version", "entities", "actions", "e2e_actions", "config")),
    ),
)
_CHANNELS = frozenset(
    (
        *("rest", "rasa", "rasa_x", "callback", "socketio", "facebook", "slack", "telegram"),
        *("twilio", "twilio_voice", "mattermost", "botframework", "rocketchat", "webexteams"),
        "hangouts",
    )
)


def is_settings(source: SourceFile) -> bool:
    """Whether it is such a file, by its keys; one without keys or with channels by its name too."""
    if source.suffix not in _SUFFIXES:
        return False
    head = source.head_text.replace("\r", "\n")
    keys = frozenset(_KEY.findall(head))
    name = source.name.rpartition("/")[2].lower()
    if not keys:
        return bool(_NAME.match(name)) and not _WORDS.search(head)
    if name.startswith("credentials"):
        return bool(keys & _CHANNELS)
    return any(keys & says and keys <= says | beside for says, beside in _KINDS)
