"""The language of a text is told from its prose, or not told at all."""

from __future__ import annotations

import pytest

from lmft.corpus.survey.languages import language_of

PROSE = {
    "en": "The old man sat by the fire and told the children about the sea, while the wind blew.",
    "de": "Der alte Mann saß am Feuer und erzählte den Kindern vom Meer, während draußen Wind war.",
    "fr": "Le vieil homme était assis près du feu et racontait la mer aux enfants, malgré le vent.",
    "es": "El viejo se sentó junto al fuego y les habló del mar a los niños, mientras llovía.",
    "pl": "Stary człowiek siedział przy ogniu i opowiadał dzieciom o morzu, a wiatr wył w kominie.",
    "ru": "Старик сидел у огня и рассказывал детям о море, а ветер снаружи гремел ставнями.",
    "vi": "Ông già ngồi bên bếp lửa và kể cho bọn trẻ nghe về biển cả, trong khi gió lay cửa sổ.",
    "zh": "老人坐在火边给孩子们讲大海的故事，外面的风吹得百叶窗嘎嘎作响，孩子们听得入了迷，"
    "谁也不肯去睡觉，直到火渐渐熄灭了，月亮从云里出来照着雪地。",
    "ja": "老人は火のそばに座り、子供たちに海の話をしていた。外では風が雨戸を揺らしていた。"
    "子供たちは誰も眠ろうとせず、火が消えるまでずっと聞いていた。",
}


@pytest.mark.parametrize("code", PROSE)
def test_prose_has_a_language(code: str):
    assert language_of(PROSE[code]) == code


def test_capitals_change_nothing():
    assert language_of(PROSE["fr"].upper()) == "fr"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Der alte Mann saß am Feuer.",
        "12 34 56 * * * \n" * 100,
        "Anna Peter Maria Josef Ivan Olga Pierre Marie Hans Greta Luigi Carla Juan Carmen Olaf",
        "0a1b2c3d deadbeef cafebabe abcdef fedcba aabbcc ddeeff abcabc defdef abcdef abcdefabcdef",
        "\ud800\udfff\0" * 500,
    ],
)
def test_what_is_too_short_or_no_prose_has_none(text: str):
    assert language_of(text) is None


def test_markup_is_no_language():
    marked = "".join(
        f'<div class="the-english-words-of-this-page">{word}</div> [[go there and be happy]] '
        for word in PROSE["ru"].split()
    )
    assert language_of(marked) == "ru"
    assert language_of('<p class="where the wind blows and the sea is wide">Да.</p>' * 20) is None


def test_only_the_beginning_is_asked():
    assert language_of(PROSE["de"] * 8 + PROSE["ru"] * 1000) == "de"
