"""Mojibake is repaired, right text in any language is left as it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.mojibake import repair

relaxed = settings(deadline=None, max_examples=80)

RIGHT = [
    "Plain English, with 'quotes' and -- dashes.",
    "“Yes”—he said. ‘“No,”’ she answered… “—and then?” naïve café—“État”, façade…",
    "« Ah ! » s’écria-t-il, l’été dernier nous étions à Orléans… Où êtes-vous né ?",
    "«\xa0Déjà\xa0?\xa0» — Là-bas, répondit-elle, où l’on créée crée. ÀÉÈÊ Ç’A ÉTÉ",
    "„Schöne Grüße“, sagte er, »über die Straße« ging die Frau größer… ÄÖÜ",
    "— Её дети слушали «море»… — сказал он; ещё одну ночь! ЁЛКА “её”",
    "«Її очі, — сказав він, — як її ім’я…» Європа, ґанок, її й її.",
    "Љубав, ђак, њен ћуп и џеп. „Здраво“, рече.",
    "Ο γέρος είπε: «Ελάτε, παιδιά»… Ήταν Άνοιξη. ΆΈΉ",
    "„Zażółć gęślą jaźń” — powiedział… Łódź, źródło, żółw.",
    "Şu çılgın ağaç “güzel”… İstanbul’da ığdır.",
    "AMANHÃ É UM DIA. MAÇÃ “boa”… amanhã será, ÇÃO, coração.",
    "老人坐在火边，给孩子们讲“大海”的故事……",
    "「おじいさん」は……火のそばに座っていた。",
    "할아버지는 “바다” 이야기를 했다…",
    "Tiếng Việt đã được viết “như thế này”… Ầm ầm! Nước chảy, đá mòn.",
    "קום “לך”… قال: «تعالوا»… กำลังไป",
    "😀🎉👨‍👩‍👧 👍🏽 ❤️ “🎉”—🎉",
    "e\u0301 ﬁ ﬂ Ａ ½ ² ™ © ® ° × ÷ \ud800 \u200b",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_text_is_left_alone(text: str):
    assert repair(text) == (text, 0)


@pytest.mark.parametrize(
    ("broken", "right"),
    [
        ("I donâ€™t know", "I don’t know"),
        ("cafÃ©", "café"),
        ("Ð¿Ñ€Ð¸Ð²ÐµÑ‚", "привет"),
        ("РџСЂРёРІРµС‚ РјРёСЂ", "Привет мир"),
        ("вЂњHelloвЂќ", "“Hello”"),
        ("‚Äúhi‚Äù", "“hi”"),
        ("voilÃ  le travail", "voilà le travail"),
        ("don\x92t", "don’t"),
        ("\ud800Ã©", "\ud800é"),
    ],
)
def test_mojibake_is_repaired(broken: str, right: str):
    assert repair(broken) == (right, 1)
    assert repair(right) == (right, 0)


def test_only_broken_lines_change_and_are_counted():
    text = "“Née”\nFrançois\n\ncafÃ© ﬁne “quotes”\nдом\nI donâ€™t\n"
    assert repair(text) == ("“Née”\nFrançois\n\ncafé ﬁne “quotes”\nдом\nI don’t\n", 2)


@pytest.mark.parametrize(
    ("sentence", "encoding"),
    [
        ("Où êtes-vous né, à Orléans ?", "latin-1"),
        ("Où êtes-vous né, à Orléans ?", "cp1252"),
        ("Où êtes-vous né, à Orléans ?", "mac-roman"),
        ("“Die Brüder saßen am Gemäuer…”", "mac-roman"),
        ("“Die Brüder saßen am Gemäuer…”", "cp437"),
        ("Старик сидел у огня", "latin-1"),
        ("Старик сидел у огня", "cp1251"),
        ("Stary człowiek siedział przy ogniu", "cp1250"),
    ],
)
def test_sentences_come_back_from_the_usual_accidents(sentence: str, encoding: str):
    broken = sentence.encode().decode(encoding)
    assert broken != sentence
    assert repair(broken) == (sentence, 1)


@relaxed
@given(st.lists(st.sampled_from([*RIGHT, "cafÃ©", "I donâ€™t", ""]), max_size=8))
def test_lines_are_judged_each_on_its_own(lines: list[str]):
    repaired, n_changed = repair("\n".join(lines))
    assert repaired.split("\n") == [repair(line)[0] for line in lines] or not lines
    assert n_changed == sum(line in ("cafÃ©", "I donâ€™t") for line in lines)


@relaxed
@given(st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_is_never_touched(text: str):
    assert repair(text) == (text, 0)


@relaxed
@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_anything_at_all_is_survived_with_its_lines(text: str):
    repaired, n_changed = repair(text)
    assert (repaired != text) == (n_changed > 0)
    assert n_changed <= text.count("\n") + 1
