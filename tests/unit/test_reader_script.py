"""Plays, screenplays and game scripts: every line to its speaker."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmft.corpus.decode import Unreadable
from lmft.corpus.documents import Document
from lmft.corpus.findings import Findings
from lmft.corpus.readers.scripts.script import READER
from lmft.corpus.source import SourceFile

relaxed = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def source(directory: Path, text: str, name: str = "play.txt") -> SourceFile:
    path = directory / name
    path.write_bytes(text.encode())
    return SourceFile(path, name)


def read(directory: Path, text: str, findings: Findings | None = None) -> list[Document]:
    return list(READER.read(source(directory, text), findings or Findings()))


def said(documents: list[Document]) -> list[tuple[str | None, str]]:
    return [(turn.name, turn.content) for document in documents for turn in document.messages]


FOLIO = """\
Actus primus. Scoena Prima.

Enter Rosalinda and Beniamin.

  Ros. As I doe liue, the kettle will not boyle,
And all the Cookes are fled vnto the Towne

   Ben. Was it not set vpon the fire at noone, as you did
bid me do it, by the olde woman that keepes the
Kitchin?
  Ros. It was.
Enter Iohn.

  Ioh. (a poore man) comes heere, and askes if any
bread be left

   Ros He is hungry

   Beniam. So are we all.

Exit Beniamin.

Song.

Boyle, boyle, thou kettle blacke,
Nor giue vs cause to send thee backe

   Rosal. Read this.

Read.

The fire is cold.

  Ben. I heard it: goe thy way.
Exit.

At last he stayes alone with mee.

  Ben. Not so.

Exeunt.


Scena Secunda.

Enter Sir Iohn Pot-lid.

  Ioh. Heere I am.

FINIS.
"""


def test_first_folio_every_line_to_its_full_name(tmp_path):
    assert said(read(tmp_path, FOLIO)) == [
        (None, "Actus primus. Scoena Prima.\nEnter Rosalinda and Beniamin."),
        (
            "Rosalinda",
            "As I doe liue, the kettle will not boyle,\nAnd all the Cookes are fled vnto the Towne",
        ),
        (
            "Beniamin",
            "Was it not set vpon the fire at noone, as you did bid me do it, by the olde woman "
            "that keepes the Kitchin?",
        ),
        ("Rosalinda", "It was."),
        (None, "Enter Iohn."),
        ("Iohn", "(a poore man) comes heere, and askes if any bread be left"),
        ("Rosalinda", "He is hungry"),
        ("Beniamin", "So are we all."),
        (
            None,
            "Exit Beniamin.\nSong.\n\nBoyle, boyle, thou kettle blacke,\n"
            "Nor giue vs cause to send thee backe",
        ),
        ("Rosalinda", "Read this."),
        (None, "Read."),
        ("Rosalinda", "The fire is cold."),
        ("Beniamin", "I heard it: goe thy way."),
        (None, "Exit."),
        ("Rosalinda", "At last he stayes alone with mee."),
        ("Beniamin", "Not so."),
        (None, "Exeunt."),
        (None, "Scena Secunda.\nEnter Sir Iohn Pot-lid."),
        ("Sir Iohn Pot-lid", "Heere I am."),
    ]


def test_what_was_unified_and_dropped_is_said(tmp_path):
    findings = Findings()
    read(tmp_path, FOLIO, findings)
    (note,) = findings.notes
    assert "Rosalinda (Ros, Rosal)" in note
    assert "Beniamin (Ben, Beniam)" in note
    assert "Sir Iohn Pot-lid (Ioh)" in note
    assert [(drop.reason, drop.first_line) for drop in findings.drops] == [
        ("end mark", FOLIO.split("\n").index("FINIS.") + 1)
    ]


def folio(*speeches: str, enter: str = "") -> str:
    head = f"Enter {enter}.\n\n" if enter else ""
    return head + "".join(f"  {speech}\n\n" for speech in speeches)


@pytest.mark.parametrize(
    ("enter", "speeches", "names"),
    [
        ("Duke, Duke Senior", ["Du. a", "Du.Sen. b", "Duk. c"], ["Duke", "Duke Senior", "Duke"]),
        ("Mary, Mark, and Anne", ["Mar. a", "An. b", "Mark. c"], ["Mar", "Anne", "Mark"]),
        (
            "Cellia. Enter Celia. Enter Celia",
            ["Cel. a", "Bo. b", "Cel. c"],
            ["Celia", "Bo", "Celia"],
        ),
        ("", ["Ro. a", "Bot. b", "Rosal. c", "Bot. d", "Ros. e"], ["Rosal", "Bot"] * 2 + ["Rosal"]),
        ("", ["1.Lo. a", "2.Lord. b", "1.Lord. c"], ["1.Lord", "2.Lord", "1.Lord"]),
        ("two Pages", ["Page. a", "Boy. b", "Page. c"], ["Page", "Boy", "Page"]),
        ("Clowne and Will", ["Clo. a", "Will. b", "Cle. c"], ["Clowne", "Will", "Clowne"]),
    ],
)
def test_abbreviations_are_unified_only_where_it_is_safe(tmp_path, enter, speeches, names):
    found = said(read(tmp_path, folio(*speeches, enter=enter)))
    assert [name for name, _ in found if name] == names


def test_who_answers_each_other_is_not_one_person(tmp_path):
    found = said(read(tmp_path, folio("Jo. Hm", "John. What", "Jo. Ha", "John. So", enter="John")))
    assert [name for name, _ in found if name] == ["Jo", "John", "Jo", "John"]


def test_a_name_printed_twice_running_is_shown_and_kept(tmp_path):
    findings = Findings()
    found = said(read(tmp_path, folio("Ann. a", "Bob. b", "Bob. c", "Ann. d"), findings))
    assert found == [("Ann", "a"), ("Bob", "b\nc"), ("Ann", "d")]
    (note,) = findings.notes
    assert "twice running at line 5;" in note


PLAY = """\
THE TRAGEDY OF THE SPOON

Contents

ACT I
Scene I. A kitchen.

Dramatis Personæ

SPOON, a prince
FORK, his friend

ACT I

SCENE I. A kitchen.

 Enter Spoon and Fork.

SPOON.
Who stirs? Stand still, and tell me what you are,
For in the dark all cutlery looks one.

FORK.
Nay, answer me.

 [_Exit Spoon._]

FORK.
(The pan that never yet was truly clean
Is mine.)
And weep.

Yet weeping washes nothing.

SCENE II. A pantry.

FIRST LADLE.
[_Aside._] He comes.

FORK.
The rest is soup.

THE END
"""


def test_names_on_their_own_line(tmp_path):
    findings = Findings()
    documents = read(tmp_path, PLAY, findings)
    assert said(documents) == [
        (None, "ACT I\nSCENE I. A kitchen.\nEnter Spoon and Fork."),
        (
            "SPOON",
            "Who stirs? Stand still, and tell me what you are,\n"
            "For in the dark all cutlery looks one.",
        ),
        ("FORK", "Nay, answer me."),
        (None, "[_Exit Spoon._]"),
        (
            "FORK",
            "(The pan that never yet was truly clean\nIs mine.)\nAnd weep.\n\n"
            "Yet weeping washes nothing.",
        ),
        (None, "SCENE II. A pantry."),
        ("FIRST LADLE", "[_Aside._] He comes."),
        ("FORK", "The rest is soup."),
    ]
    assert [document.scene for document in documents] == [0, 1]
    assert findings.dropped_places == {
        "cast list": 1,
        "before the first scene": 3,
        "end mark": 1,
    }


def test_names_and_full_stops_with_directions_in_them(tmp_path):
    text = """\
FIRST ACT

SCENE

A morning-room. The table is laid.

MARGARET. Have you seen my brooch, Basil? I put it on the shelf beside the
clock this morning, and I am quite certain that nobody has been in the room
since.

BASIL. [Chewing.] I did not think it polite to look, madam.

[Exit BASIL, and with him
the muffins.]

_MARGARET_ [_sighing_]. He never stays.

When I was a girl they stayed for hours.

TABLEAU

CURTAIN
"""
    assert said(read(tmp_path, text)) == [
        (None, "FIRST ACT\nSCENE\n\nA morning-room. The table is laid."),
        (
            "MARGARET",
            "Have you seen my brooch, Basil? I put it on the shelf beside the clock this morning, "
            "and I am quite certain that nobody has been in the room since.",
        ),
        ("BASIL", "[Chewing.] I did not think it polite to look, madam."),
        (None, "[Exit BASIL, and with him the muffins.]"),
        ("MARGARET", "[_sighing_] He never stays.\n\nWhen I was a girl they stayed for hours."),
        (None, "TABLEAU\nCURTAIN"),
    ]


def test_a_long_aside_goes_on_over_lines(tmp_path):
    text = """\
ALICK [who knows all there is to be known about women, and can speak of them
without a tremor]. It is a curious thing.

FRAU V. HALLDORF. Is it? I never noticed
it in you.

(She goes to the window, slowly, and looks out for so long that the others
forget her.)

ALICK (_to himself_). All gone.

ALL. Hm.

ALBERT. Not I.

ALL. No.
"""
    assert said(read(tmp_path, text)) == [
        (
            "ALICK",
            "[who knows all there is to be known about women, and can speak of them without a "
            "tremor]. It is a curious thing.",
        ),
        ("FRAU V. HALLDORF", "Is it? I never noticed\nit in you."),
        (
            None,
            "(She goes to the window, slowly, and looks out for so long that the others forget "
            "her.)",
        ),
        ("ALICK", "(_to himself_) All gone."),
        ("ALL", "Hm."),
        ("ALBERT", "Not I."),
        ("ALL", "No."),
    ]


def test_a_title_with_a_full_stop_is_part_of_the_name(tmp_path):
    text = "MRS. PAGE. What is it?\n\nMR. FORD. Nothing, madam.\n\nMRS. FORD. Mr. Page.\n"
    assert said(read(tmp_path, text)) == [
        ("MRS. PAGE", "What is it?"),
        ("MR. FORD", "Nothing, madam."),
        ("MRS. FORD", "Mr. Page."),
    ]


SCREENPLAY = """\
                         THE KETTLE

INT. KITCHEN - NIGHT

Anna waits by the stove. The kettle is cold. It has
been cold for hours.

                         ANNA
               (whispering)
          It never boils while I stand here
          and look at it.

                         TOM (O.S.)
          Then look away.

She turns. The DOOR opens.

A GUNSHOT.

                         ANNA (CONT'D)
          You came.

                                             CUT TO:

EXT. GARDEN - DAY

                         TOM
          I said I would.
                         (MORE)

                         TOM (CONT'D)
          And I did.
"""
FOUNTAIN = "Title: The Kettle\n\n" + "\n".join(
    line.strip().replace("TOM (CONT'D)", "TOM ^") for line in SCREENPLAY.split("\n")[2:]
)


@pytest.mark.parametrize("text", [SCREENPLAY, FOUNTAIN], ids=["indented", "Fountain"])
def test_screenplay(tmp_path, text):
    documents = read(tmp_path, text)
    assert said(documents) == [
        (
            None,
            "INT. KITCHEN - NIGHT\nAnna waits by the stove. The kettle is cold. It has been cold "
            "for hours.",
        ),
        ("ANNA", "(whispering)\nIt never boils while I stand here and look at it."),
        ("TOM", "Then look away."),
        (None, "She turns. The DOOR opens.\n\nA GUNSHOT."),
        ("ANNA", "You came."),
        (None, "CUT TO:"),
        (None, "EXT. GARDEN - DAY"),
        ("TOM", "I said I would.\nAnd I did."),
    ]
    assert len(documents) == 2


def test_game_script_and_markdown(tmp_path):
    text = """\
# The Gate

[NARRATOR] You stand before the gate. It is locked.
[Guard] Halt! Who goes there?
**Old Tam (grinning):** A friend.
[NARRATOR] The guard lowers his spear.
He does not smile.
[Door creaks]
[Guard]: Friends knock.

*A bell rings far off.*

**Old Tam:** I did knock.

---

[Guard] Wait here.
"""
    documents = read(tmp_path, text)
    assert said(documents) == [
        (None, "# The Gate"),
        ("NARRATOR", "You stand before the gate. It is locked."),
        ("Guard", "Halt! Who goes there?"),
        ("Old Tam", "(grinning) A friend."),
        ("NARRATOR", "The guard lowers his spear.\nHe does not smile."),
        (None, "[Door creaks]"),
        ("Guard", "Friends knock."),
        (None, "*A bell rings far off.*"),
        ("Old Tam", "I did knock."),
        ("Guard", "Wait here."),
    ]
    assert [document.source for document in documents] == ["play.txt:1", "play.txt:17"]


WRAPPED = """\
   {name}. You that haue your lodging by the harbour, sir, and
there the best of all the fishes in the Towne, what is it
that they say of me? I would be glad to heare it: for I do
not sleepe, and therefore must be told what other men and
women dreame. Is it Adam, or the other fellow, that saies
I was a cooke
"""
SONG = """\
   Cor. And I will sing it in the {where}
vnder the hanging lamp and all the ropes,
a louer of the Sea, that looks on me:
Come hither, come hither, come hither:
Heere shall he see no enemie,
but Winter and rough Weather,
and will he stay, he is the better fed
"""


def test_prose_is_joined_and_a_song_in_small_letters_is_not(tmp_path):
    text = "\n".join(
        WRAPPED.format(name="Ros") + "\n" + SONG.format(where=where)
        for where in ("night", "day", "spring", "fall")
    )
    turns = said(read(tmp_path, f"Actus primus. Scoena Prima.\n\n{text}"))[1:]
    assert len(turns) == 8
    for speaker, words in turns[::2]:
        assert (speaker, words.count("\n")) == ("Ros", 0)
    for speaker, words in turns[1::2]:
        assert (speaker, words.count("\n")) == ("Cor", 6)


def test_a_refrain_within_prose_keeps_its_line(tmp_path):
    refrain = (
        "\nCome hither to the sea, my dear, come hither:\nHeere shall he see no enemie at all, and"
    )
    prose = WRAPPED.format(name="Ros").rstrip()
    text = "\n\n".join([prose + refrain + prose.partition(" sir,")[2], "   Cor. So they say"] * 4)
    turns = said(read(tmp_path, f"Actus primus. Scoena Prima.\n\n{text}"))
    assert "come hither:\nHeere shall he" in turns[1][1]


def test_where_and_when_the_play_is_set_opens_its_first_scene(tmp_path):
    setting = "A kitchen in winter. " + "The stove smokes, and nobody has swept the floor. " * 5
    speeches = "RUTH: Who is it?\n\nIVAN: It is only me, sister.\n\n" * 4
    text = (
        "THE TABLE\n\nA play\n\nCAST\n\nRUTH, a widow\nIVAN, her brother\n\n"
        f"SETTING: {setting}\n\nTIME: The present.\n\nACT 1\n\n{speeches}"
    )
    findings = Findings()
    turns = said(read(tmp_path, text, findings))
    assert turns[0] == (None, f"SETTING: {setting.strip()}\nTIME: The present.\nACT 1")
    assert turns[1] == ("RUTH", "Who is it?")
    assert findings.dropped_places == {"cast list": 1, "before the first scene": 1}
    assert "A kitchen" not in str(findings.drops)


def test_every_spoken_turn_waits_for_its_role(tmp_path):
    for document in read(tmp_path, PLAY):
        assert document.kind == "chat"
        assert document.uncast
        assert document.begins
        assert document.ends
        for turn in document.messages:
            assert turn.role == ("system" if turn.name is None else "user")


def test_capitals_do_not_make_two_speakers(tmp_path):
    found = said(read(tmp_path, "Anna: a\nBEN: b\nANNA: c\nAnna: d\nBen: e\nBEN: f\n"))
    assert found == [("Anna", "a"), ("BEN", "b"), ("Anna", "c\nd"), ("BEN", "e\nf")]


def test_a_word_with_a_colon_inside_a_speech_is_no_speaker(tmp_path):
    text = "ANNA: Listen to me.\n{}\n\nBEN: Yes.\n\nANNA: So.\n\nBEN: I do.\n"
    for line in ("Remember: never go there.", "she said: no.", "Title: none.", "At 10:30 we go."):
        name, words = said(read(tmp_path, text.format(line)))[0]
        assert (name, words.split()) == ("ANNA", f"Listen to me. {line}".split())


def test_other_alphabets(tmp_path):
    assert said(read(tmp_path, "小明：你好！\n小红：你好。\nАнна: Да?\nÉmile: «Oui».\n")) == [
        ("小明", "你好！"),
        ("小红", "你好。"),
        ("Анна", "Да?"),
        ("Émile", "«Oui»."),
    ]


def test_a_short_scene_before_the_first_heading_stays(tmp_path):
    text = "ANNA: a\n\nBEN: b\n\nSCENE 2\n\nANNA: c\n\nBEN: d\n"
    assert [name for name, _ in said(read(tmp_path, text))] == ["ANNA", "BEN", None, "ANNA", "BEN"]


def test_a_preface_that_quotes_other_speakers_goes(tmp_path):
    text = "As in:\n\nCARL: c\n\nand so on.\n\nSCENE 1\n\nANNA: c\n\nBEN: d\n\nANNA: e\n"
    findings = Findings()
    assert said(read(tmp_path, text, findings))[0] == (None, "SCENE 1")
    assert findings.dropped_places == {"before the first scene": 2}


def test_a_scene_is_one_document_however_long(tmp_path):
    turns = [(("ANNA", "BEN")[n % 2], f"Speech number {n}. " + "word " * 40) for n in range(150)]
    text = "SCENE 1\n\nANNA: Short.\n\nBEN: Yes.\n\nSCENE 2\n\n[They sit.]\n\n"
    text += "".join(f"{name}: {words}\n\n" for name, words in turns)
    scenes = read(tmp_path, text)
    assert [(scene.scene, scene.begins, scene.ends) for scene in scenes] == [
        (0, True, True),
        (1, True, True),
    ]
    assert scenes[1].source == "play.txt:7"
    assert [turn for turn in said(scenes[1:]) if turn[0]] == [(a, b.strip()) for a, b in turns]


def test_nobody_speaks(tmp_path):
    with pytest.raises(Unreadable, match="nobody speaks"):
        read(tmp_path, "only a sentence, and no more than that\n")


# Properties

NAMES = st.text(alphabet="abcdefgh", min_size=2, max_size=8).map(lambda name: f"X{name}")
WORDS = st.text(
    alphabet=st.characters(blacklist_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60
).filter(lambda words: any(c.isalnum() for c in words) and words[0] not in "*_")


@relaxed
@given(st.lists(st.tuples(NAMES, WORDS), min_size=1, max_size=30))
def test_every_line_comes_back_with_its_speaker_in_order_once(tmp_path, script):
    text = "".join(f"{name}: {words}\n" for name, words in script)
    expected = [
        (name, "\n".join(words.strip() for _, words in group))
        for name, group in groupby(script, key=lambda turn: turn[0])
    ]
    assert said(read(tmp_path, text)) == expected


@relaxed
@given(st.text(max_size=400))
def test_garbage_never_breaks_it(tmp_path, text):
    file = source(tmp_path, text.encode("utf-8", "replace").decode() or " ")
    READER.sniff(file)
    with suppress(Unreadable):
        list(READER.read(file, Findings()))


# What is a script

LINES = ("I never said that.", "Did you not?", "Well, perhaps once.", "Then say it again, please.")


def dialogue(form: str, names: tuple[str, ...] = ("ANNA", "BEN")) -> str:
    return "".join(
        form.format(name=names[n * n % 7 % len(names)], words=LINES[n % 4]) for n in range(24)
    )


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        (dialogue("{name}: {words}\n"), "NAME: words"),
        (dialogue("**{name}:** {words}\n\n"), "NAME: words"),
        (dialogue("[{name}] {words}\n", ("Narrator", "Guard", "Old Tam")), "NAME: words"),
        (dialogue("{name}. {words}\n\n"), "NAME. words"),
        (dialogue("   {name}. {words}\n\n", ("Ros", "Orl", "Du.Sen")), "NAME. words"),
        (dialogue("_{name}_. {words}\n\n", ("Nora", "Helmer")), "NAME. words"),
        (dialogue("{name}.\n{words}\n\n"), "NAME on its own line"),
        ("INT. ROOM - DAY\n\n" + dialogue("{name}\n{words}\n\nShe sits.\n\n"), "screenplay"),
        (dialogue("{name}: {words}\r\n", ("User", "Assistant")), "NAME: words"),
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n" + dialogue("{name}: {words}\n"),
            "NAME",
        ),
    ],
)
def test_scripts_are_known(tmp_path, text, layout):
    reason = READER.sniff(source(tmp_path, text))
    assert reason is not None
    assert "speakers take turns" in reason
    assert layout in reason


NOVEL = (
    "She had not meant to go. The road was long, and at its end there was nothing: a house, a "
    "well, two dead trees.\n\n“Anna,” he said. “Come in.”\n\n"
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "one line",
        NOVEL * 20,
        NOVEL * 6 + dialogue("{name}: {words}\n") + NOVEL * 30,
        "Dear Ben:\n\nI write in haste.\n\nYours: Anna\n\n" * 20,
        "Title: The Cat\nAuthor: Someone, perhaps.\nDate: 1900.\n\n" * 20,
        "Front: What is it?\nBack: A cat.\nHint: It purrs.\n" * 20,
        "name: Anna\nage: 7\ncity: Rome\n" * 20,
        "- intent: greet\n  examples: |\n    - hello.\n" * 20,
        "[12:30] <anna> hello.\n[12:31] <ben> hi.\n" * 20,
        "12/31/20, 10:00 PM - Anna: Hello.\n12/31/20, 10:01 PM - Ben: Hi.\n" * 20,
        "[31.12.20, 22:00:01] Anna: Hello.\n[31.12.20, 22:00:05] Ben: Hi.\n" * 20,
        "INFO: started, at last.\nERROR: no such file.\nINFO: stopped.\n" * 20,
        "You stand in a hall.\n\n> You go north.\n\nANNA: Hello.\n\nBEN: Hi.\n\n" * 20,
        ":: Start\nANNA: Hello.\nBEN: Hi.\n[[Go->Next]]\n\n" * 20,
        "CHAPTER I.\nLoomings.\n\nCHAPTER II.\nThe Carpet-Bag.\n\n" * 20,
        '{"messages": [{"role": "user"}]}\n' * 20,
        "".join(f"WORD{n}. A meaning, of sorts.\n\n" for n in range(60)),
        "Anna: All by myself, I talk.\n" * 30,
        "\x00\x01PK" * 500,
    ],
)
def test_what_is_no_script_is_not_claimed(tmp_path, text):
    assert READER.sniff(source(tmp_path, text or " ")) is None
