"""WhatsApp's text export in its many forms."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmft.corpus.findings import Findings
from lmft.corpus.readers.logs.whatsapp import READER
from lmft.corpus.source import SourceFile

LRM, NARROW, HARD = "\u200e", "\u202f", "\u00a0"


def source_of(tmp_path, text):
    path = tmp_path / "chat.txt"
    path.write_text(text, encoding="utf-8")
    return SourceFile(path, "chat.txt")


def read(tmp_path, text):
    source, findings = source_of(tmp_path, text), Findings()
    return list(READER.read(source, findings)), findings


def said(document):
    return [(turn.name, turn.content) for turn in document.messages]


FORMS = {
    "android, United States": (
        "12/31/23, 11:58 PM - Ann: Well?\n12/31/23, 11:59 PM - Bob: Nearly.\n"
        "1/1/24, 12:01 AM - Ann: Now!\n"
    ),
    "android, narrow space": (
        f"12/31/23, 11:58{NARROW}PM - Ann: Well?\n12/31/23, 11:59{NARROW}PM - Bob: Nearly.\n"
        f"1/1/24, 12:01{NARROW}AM - Ann: Now!\n"
    ),
    "android, Germany": (
        "31.12.23, 23:58 - Ann: Well?\n31.12.23, 23:59 - Bob: Nearly.\n"
        "01.01.24, 00:01 - Ann: Now!\n"
    ),
    "android, Spain": (
        f"31/12/23 11:58 p.{HARD}m. - Ann: Well?\n31/12/23 11:59 p.{HARD}m. - Bob: Nearly.\n"
        f"1/1/24 12:01 a.{HARD}m. - Ann: Now!\n"
    ),
    "android, Netherlands": (
        "31-12-2023 23:58 - Ann: Well?\n31-12-2023 23:59 - Bob: Nearly.\n"
        "01-01-2024 00:01 - Ann: Now!\n"
    ),
    "android, Sweden": (
        "2023-12-31 23:58 - Ann: Well?\n2023-12-31 23:59 - Bob: Nearly.\n"
        "2024-01-01 00:01 - Ann: Now!\n"
    ),
    "android, China": (
        "2023/12/31 下午11:58 - Ann: Well?\n2023/12/31 下午11:59 - Bob: Nearly.\n"
        "2024/1/1 上午12:01 - Ann: Now!\n"
    ),
    "android, Egypt": (
        "٣١\u200f/١٢\u200f/٢٠٢٣، ١١:٥٨ م - Ann: Well?\n"
        "٣١\u200f/١٢\u200f/٢٠٢٣، ١١:٥٩ م - Bob: Nearly.\n"
        "١\u200f/١\u200f/٢٠٢٤، ١٢:٠١ ص - Ann: Now!\n"
    ),
    "ios, Britain": (
        "[31/12/2023, 23:58:58] Ann: Well?\n[31/12/2023, 23:59:58] Bob: Nearly.\n"
        "[01/01/2024, 00:01:00] Ann: Now!\n"
    ),
    "ios, United States": (
        f"[12/31/23, 11:58:58{NARROW}PM] Ann: Well?\n[12/31/23, 11:59:58{NARROW}PM] Bob: Nearly.\n"
        f"[1/1/24, 12:01:00{NARROW}AM] Ann: Now!\n"
    ),
    "ios, Finland": (
        "[31.12.2023 klo 23.58.58] Ann: Well?\n[31.12.2023 klo 23.59.58] Bob: Nearly.\n"
        "[1.1.2024 klo 0.01.00] Ann: Now!\n"
    ),
    "ios, names with marks": (
        f"[31/12/2023, 23:58:58] ~{NARROW}Ann: Well?\n"
        "[31/12/2023, 23:59:58] \u202aBob\u202c: Nearly.\n"
        f"{LRM}[01/01/2024, 00:01:00] ~{NARROW}Ann: Now!\n"
    ),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_is_known_and_read_over_midnight(tmp_path, text):
    assert READER.sniff(source_of(tmp_path, text))
    documents, findings = read(tmp_path, text)
    assert [(d.source, d.kind, d.uncast) for d in documents] == [("chat.txt:1", "chat", True)]
    assert said(documents[0]) == [("Ann", "Well?"), ("Bob", "Nearly."), ("Ann", "Now!")]
    assert {turn.role for turn in documents[0].messages} == {"user"}
    assert not findings.faults
    assert not findings.drops
    assert not findings.notes


def test_a_message_of_several_lines_is_one_and_turns_are_joined(tmp_path):
    documents, _ = read(
        tmp_path,
        "31.12.23, 20:00 - Ann: A list:\n- eggs\n\n  - “milk”\n31.12.23, 20:01 - Ann: Yes?\n"
        "31.12.23, 20:02 - Bob: At 9:30: yes\n",
    )
    assert said(documents[0]) == [
        ("Ann", "A list:\n- eggs\n\n  - “milk”\nYes?"),
        ("Bob", "At 9:30: yes"),
    ]


def test_six_hours_of_silence_end_a_conversation(tmp_path):
    documents, findings = read(
        tmp_path,
        "13/1/24, 08:00 - Ann: Up?\n13/1/24, 14:00 - Bob: Now.\n"
        "13/1/24, 20:01 - Bob: Out?\n13/1/24, 20:02 - Ann: Out.\n"
        "14/1/24, 20:01 - Bob: Hello?\n",
    )
    assert [document.source for document in documents] == ["chat.txt:1", "chat.txt:3"]
    drop = findings.drops[0]
    assert (drop.reason, drop.first_line, drop.last_line) == ("monologue", 5, 5)


def test_day_and_month_are_told_apart_by_the_whole_file(tmp_path):
    # One night as month/day, two months as day/month.
    night = "1/2/24, 23:50 - Ann: Late.\n1/3/24, 00:10 - Bob: Late.\n"
    documents, findings = read(tmp_path, night + "1/13/24, 12:00 - Ann: Noon.\n")
    assert said(documents[0]) == [("Ann", "Late."), ("Bob", "Late.")]
    assert not findings.notes
    documents, findings = read(tmp_path, night + "13/1/24, 12:00 - Ann: Noon.\n")
    assert documents == []
    assert not findings.notes


def test_two_phones_exports_in_one_file_lose_no_message(tmp_path):
    documents, findings = read(
        tmp_path,
        "14/1/24, 12:00 - Ann: Hi\n14/1/24, 12:01 - Bob: Hi!\n"
        "1/14/24, 12:02 - Ann: So?\n1/14/24, 12:03 - Bob: So.\n",
    )
    assert len(documents) == 1
    assert len(documents[0].messages) == 4
    assert not findings.faults


def test_dates_that_leave_it_open_are_read_as_day_first_and_that_is_said(tmp_path):
    documents, findings = read(tmp_path, "1/2/24, 23:50 - Ann: Late.\n2/2/24, 00:10 - Bob: Late.\n")
    assert len(documents) == 1
    assert findings.notes == ["chat.txt: dates may be day/month or month/day; read as day/month"]


NOTICES = {
    "<Media omitted>": "media",
    "<Medien ausgeschlossen>": "media",
    "<Multimedia omitido>": "media",
    f"{LRM}<attached: 00000012-PHOTO-2023-12-31-20-00-01.jpg>": "media",
    f"{LRM}sticker omitted": "media",
    "image omitted": "media",
    f"{LRM}notes.pdf • {LRM}2 pages {LRM}document omitted": "media",
    "IMG-20231231-WA0001.jpg (file attached)": "media",
    "This message was deleted": "deleted message",
    f"{LRM}You deleted this message.": "deleted message",
    "Diese Nachricht wurde gelöscht.": "deleted message",
    f"{LRM}Ann hat die Gruppe erstellt": "system line",
    f"{LRM}POLL:\nWhere?\n{LRM}OPTION: Here ({LRM}2 votes)": "system line",
    "Messages and calls are end-to-end encrypted. Only people in this chat can read them.": (
        "system line"
    ),
    "Missed voice call": "system line",
    "null": "system line",
    "": "message without text",
}


@pytest.mark.parametrize(("text", "reason"), NOTICES.items())
def test_what_nobody_wrote_is_dropped_with_its_reason(tmp_path, text, reason):
    documents, findings = read(
        tmp_path,
        f"31.12.23, 20:00 - Ann: Well?\n31.12.23, 20:01 - Ann: {text}\n"
        "31.12.23, 20:02 - Bob: Yes.\n",
    )
    assert said(documents[0]) == [("Ann", "Well?"), ("Bob", "Yes.")]
    assert findings.dropped_places == {reason: 1}
    assert findings.drops[0].first_line == 2


SPOKEN = {
    "Yes. <This message was edited>": "Yes.",
    f"Yes. {LRM}<Esta mensagem foi editada.>": "Yes.",
    f"My cat {LRM}<attached: 1.jpg>": "My cat",
    "IMG-1.jpg (file attached)\nMy cat": "My cat",
    "<waves and smiles>": "<waves and smiles>",
    "null and void": "null and void",
    "I said: this message was deleted": "I said: this message was deleted",
    "@\u2068Ann Lee\u2069 call \u202a+49 30 1234\u202c": "@Ann Lee call +49 30 1234",
    "👩\u200d🚀 “ça”": "👩\u200d🚀 “ça”",
}


@pytest.mark.parametrize(("text", "kept"), SPOKEN.items())
def test_what_somebody_wrote_is_kept(tmp_path, text, kept):
    documents, _ = read(tmp_path, f"31.12.23, 20:00 - Ann: Well?\n31.12.23, 20:01 - Bob: {text}\n")
    assert said(documents[0]) == [("Ann", "Well?"), ("Bob", kept)]


def test_lines_without_a_speaker_are_system_lines(tmp_path):
    documents, findings = read(
        tmp_path,
        "31.12.23, 20:00 - Messages and calls are end-to-end encrypted. Tap to learn more.\n"
        "31.12.23, 20:00 - Ann changed the group name from “A” to “Plans: today”\n"
        "31.12.23, 20:00 - Ann added Bob\n"
        "31.12.23, 20:01 - Ann: Hi\n31.12.23, 20:02 - Bob “B” Lee: Hi!\n",
    )
    assert said(documents[0]) == [("Ann", "Hi"), ("Bob “B” Lee", "Hi!")]
    assert findings.dropped_places == {"system line": 3}


def test_a_date_that_does_not_exist_is_a_fault_with_its_line(tmp_path):
    documents, findings = read(
        tmp_path,
        "31.12.23, 20:00 - Ann: Hi\n31.02.23, 20:00 - Ann: x\ny\n"
        "31.12.23, 29:00 - Ann: z\n31.12.23, 20:01 - Bob: Hi!\n",
    )
    assert said(documents[0]) == [("Ann", "Hi"), ("Bob", "Hi!")]
    assert [str(fault) for fault in findings.faults] == [
        "chat.txt:2: a date or time that does not exist",
        "chat.txt:4: a date or time that does not exist",
    ]


def test_text_before_the_first_message_is_dropped(tmp_path):
    _, findings = read(tmp_path, "Export\n\n31.12.23, 20:00 - Ann: Hi\n31.12.23, 20:01 - Bob: Hi\n")
    assert findings.dropped_places == {"text before the first message": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It was 31.12.23, 20:00 - Ann: spoke.\nAnd 1.1.24, 20:00 - Bob: answered.\n",
        "31.12.23, 20:00 - a quiet evening\nWe sat.\n1.1.24, 20:00 - and another\n",
        "ROMEO: But soft!\nJULIET: Ay me.\n",
        "[12:01] <ann> hi\n[12:02] <bob> hi\n",
        "[2023-12-31 23:59:58] ERROR: no disk\n[2023-12-31 23:59:59] INFO: stopped\n",
        "[2023-12-31 23:59:58] local.ERROR: a\n[2023-12-31 23:59:59] Server: b\n",
        "[2023-12-31 23:59:58] warn: a\n[2023-12-31 23:59:59] debug: b\n",
        "2023-12-31 23:59 - WARN [main]: a\n2023-12-31 23:59 - INFO [main]: b\n",
        "2023-12-31 23:59:58,123 - root - INFO: a\n2023-12-31 23:59:59,123 - root - INFO: b\n",
    ],
)
def test_other_texts_are_not_claimed(tmp_path, text):
    assert READER.sniff(source_of(tmp_path, text)) is None


def test_a_contact_may_be_called_as_a_level(tmp_path):
    chat = "31.12.23, 20:00 - {}: Hi\n"
    assert READER.sniff(source_of(tmp_path, "".join(map(chat.format, ("Info", "Ann", "Bob")))))


def test_who_is_named_by_a_number_or_an_address_gets_a_name(tmp_path):
    names = (
        "+49 170 1234567",
        f"\u202a+1{HARD}(555){HARD}123\u20114567\u202c",
        "Ann",
        "a@example.org",
        f"~{NARROW}+49 170 1234567",
        "Bob 555-123-4567",
        "Agent 007",
    )
    text = "".join(f"31.12.23, 20:0{n} - {name}: Hi.\n" for n, name in enumerate(names))
    documents, findings = read(tmp_path, text)
    assert [name for name, _ in said(documents[0])] == [
        "Contact 1",
        "Contact 2",
        "Ann",
        "Contact 3",
        "Contact 1",
        "Contact 4",
        "Agent 007",
    ]
    assert findings.notes == [
        "chat.txt: 4 speaker(s) named by a telephone number or an address are called Contact 1 "
        "and so on: names of speakers are published with an adapter"
    ]


def test_a_chat_that_begins_with_a_notice_is_claimed(tmp_path):
    notice = "31.12.23, 20:00 - Messages and calls are end-to-end encrypted.\n"
    chat = "31.12.23, 20:00 - Ann: Hi\n31.12.23, 20:01 - Bob: Hi\n"
    assert READER.sniff(source_of(tmp_path, notice + chat))


PIECES = st.sampled_from(
    [*"[]/.,:- \n\u200e\u202f«١", "31", "12", "2023", "9999", "31.12.23, 20:00 - ", "PM", "Ann: "]
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PIECES | st.text("ab\t\u2028", max_size=3), max_size=30).map("".join))
def test_garbage_never_raises_and_no_letter_is_made_up(tmp_path, text):
    source = source_of(tmp_path, text + "\n.")
    READER.sniff(source)
    documents = list(READER.read(source, Findings()))
    for turn in (turn for document in documents for turn in document.messages):
        assert turn.name
        assert set(turn.content) <= set(text) | {"\n", "."}


def test_long_lines_cost_no_more_than_their_length(tmp_path):
    for filler in (" ", "\u200e", "<", "a", "12/", "Ann: "):
        read(tmp_path, f"31.12.23, 20:00 - Ann: {filler * 200_000}x\n{filler * 200_000}\n")
