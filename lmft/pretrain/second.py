"""Narration in the first person as an adventure tells it: `I took the lamp` becomes what a player
types, `> You take the lamp`, and `you took the lamp` in the text that follows.

Only narration changes; what is said between quotes stays as it is. The tense stays the past.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(r"([\"“][^\"“”]*[\"”])")
_WORDS = {
    "I am": "you are",
    "I was": "you were",
    "was I": "were you",
    "am I": "are you",
    "I'm": "you're",
    "I’m": "you’re",
    "I've": "you've",
    "I’ve": "you’ve",
    "I'll": "you'll",
    "I’ll": "you’ll",
    "I'd": "you'd",
    "I’d": "you’d",
    "I": "you",
    "me": "you",
    "my": "your",
    "My": "Your",
    "mine": "yours",
    "Mine": "Yours",
    "myself": "yourself",
}
_FIRST = re.compile(
    r"(?P<begin>^|[.!?:]['\"”’]?\s+|\n)?"
    rf"\b(?P<word>{'|'.join(map(re.escape, sorted(_WORDS, key=len, reverse=True)))})\b(?!['’])"
)
_I = re.compile(r"\bI\b")
_MIN_SHARE = 0.025
_PAST = """
took:take went:go saw:see came:come ran:run sat:sit stood:stand found:find
gave:give held:hold left:leave lay:lie made:make put:put said:say sent:send
set:set shook:shake spoke:speak struck:strike threw:throw told:tell turned:turn
walked:walk looked:look opened:open closed:close asked:ask called:call
climbed:climb crossed:cross crept:creep cried:cry drew:draw drank:drink ate:eat
entered:enter fell:fall followed:follow fought:fight jumped:jump kept:keep
knocked:knock listened:listen lit:light lifted:lift moved:move picked:pick
placed:place pulled:pull pushed:push raised:raise reached:reach rode:ride
rose:rise rushed:rush seized:seize shouted:shout slipped:slip sprang:spring
started:start stepped:step stopped:stop swam:swim touched:touch tried:try
waited:wait watched:watch woke:wake wrote:write began:begin broke:break
brought:bring caught:catch chose:choose cut:cut dropped:drop fired:fire hid:hide
hurried:hurry laid:lay led:lead leaned:lean nodded:nod passed:pass read:read
returned:return searched:search shut:shut smiled:smile thanked:thank tied:tie
tore:tear whispered:whisper hastened:hasten
"""
_BASE_FORMS = dict(pair.split(":") for pair in _PAST.split())
_ACTION = re.compile(
    rf"(?:^|(?<=[.!?] ))I (?P<verb>{'|'.join(_BASE_FORMS)})\b"
    r"(?P<rest>[^.!?;:\"“”I]{4,60})[.;!]\s+"
)


def in_first_person(text: str) -> bool:
    """Whether somebody tells it as `I`: by the words outside quotes."""
    narration = "".join(_QUOTED.split(text)[::2])
    return len(_I.findall(narration)) > _MIN_SHARE * max(1, narration.count(" "))


def to_second_person(text: str) -> str:
    parts = _QUOTED.split(text)
    parts[::2] = [_FIRST.sub(_replaced, part) for part in parts[::2]]
    return "".join(parts)


def _replaced(match: re.Match[str]) -> str:
    begin, word = match["begin"], _WORDS[match["word"]]
    return word if begin is None else begin + word[0].upper() + word[1:]


def adventures(text: str) -> str:
    """The document in the second person; of each paragraph that tells something `I` did, the first
    such sentence becomes what a player typed."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        action = _ACTION.search(paragraph)
        # Within a quotation it would be somebody else's deed.
        if (
            action is None
            or paragraph[: action.start()].count('"')
            + len(re.findall("[“”]", paragraph[: action.start()]))
            > 0
        ):
            lines.append(to_second_person(paragraph))
            continue
        before, after = paragraph[: action.start()].strip(), paragraph[action.end() :].strip()
        typed = f"You {_BASE_FORMS[action['verb']]}{action['rest'].rstrip()}"
        told = [before, f"> {typed}.", after[:1].upper() + after[1:]]
        lines.extend(to_second_person(part) for part in told if part)
    return "\n".join(lines)
