"""Secrets and personal data are found, located, and not imagined."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmft.corpus.survey.secrets import MASK, Found, find_secrets, mask_secrets

relaxed = settings(deadline=None, max_examples=50)

# Keys are put together here, so that no scanner of repositories takes this file for a leak.
LETTERS = (string.ascii_letters + string.digits) * 2
GITHUB = "ghp_" + LETTERS[:36]
JWT = "eyJ" + LETTERS[:20] + ".eyJ" + LETTERS[:30] + "." + LETTERS[:43]
DISCORD = "M" + "TkA4xQ" * 4 + ".Cl2FMQ." + LETTERS[:27]

REAL = [
    ("e-mail address", "anna.k+news@mail.example.org"),
    ("phone number", "+49 30 1234567"),
    ("phone number", "+1 (555) 123-4567"),
    ("phone number", "+442079460958"),
    ("phone number", "(801) 596-1887"),
    ("phone number", "555-123-4567"),
    ("phone number", "06 12 34 56 78"),
    ("phone number", "020 7946 0958"),
    ("phone number", "030/1234567"),
    ("phone number", "+49\u00a0170\u202f1234567"),
    ("phone number", "(801)\u00a0596\u20111887"),
    ("IP address", "192.168.0.17"),
    ("IP address", "10.0.0.1"),
    ("IBAN", "DE89370400440532013000"),
    ("IBAN", "GB82 WEST 1234 5698 7654 32"),
    ("IBAN", "MT84 MALT 0110 0001 2345 MTLC AST0 01S"),
    ("payment card", "4111 1111 1111 1111"),
    ("payment card", "5500-0000-0000-0004"),
    ("payment card", "378282246310005"),
    ("payment card", "3782 822463 10005"),
    ("US social security number", "219-09-9999"),
    ("AWS access key", "AKIA" + "IOSFODNN7EXAMPLE"),
    ("GitHub token", GITHUB),
    ("GitHub token", "github_pat_" + LETTERS[:22] + "_" + LETTERS[:59]),
    ("OpenAI or Anthropic key", "sk-" + LETTERS[:48]),
    ("OpenAI or Anthropic key", "sk-ant-api03-" + LETTERS[:80] + "-x_AA"),
    ("Slack token", "xoxb-" + "123456789012-abcdefABCDEF"),
    ("Google API key", "AIza" + LETTERS[:35]),
    ("JSON web token", JWT),
    ("private key", "-----BEGIN " + "RSA PRIVATE KEY-----"),
    ("private key", "-----BEGIN " + "PRIVATE KEY-----"),
    ("password", "password: hunter2"),
    ("password", "Passwd=swordfish"),
    ("password", '"PASSWORD": "s3cret!"'),
    ("Discord token", DISCORD),
    ("Discord webhook", "/api/webhooks/123456789012345678/" + LETTERS[:68]),
]


@pytest.mark.parametrize(("kind", "value"), REAL)
def test_it_is_found_where_it_stands_and_only_once(kind: str, value: str):
    before = "“Née in 1812,” said she — and wrote:\n  "
    start = len(before) + value.lower().find("passw") * (kind == "password")
    (found,) = find_secrets(f"{before}{value}\nChapter 4")
    assert found == Found(kind, start, len(before) + len(value))


@pytest.mark.parametrize(
    "prose",
    [
        "From 1812 to 1815, pp. 1023-1031, and the years 1914-1918, 1939-1945.",
        "ISBN 978-0-306-40615-7, ISBN 0-306-40615-2, ISBN 9780306406157 and 0306406152",
        "It cost 1,000,000 dollars in 10 000 000 coins, at 12:30:45 on 2024-01-02, 01.02.2024.",
        "Section 1.2.3.4 of version 10.11.12.13 and v10.11.12.13; 1.10.100.1000; 10.0.0.1.5",
        "256.100.100.100 is no address, nor is 10.0.0.999",
        "DE89370400440532013001 fails its check, XX89370400440532013000 has no country.",
        "4111 1111 1111 1112 fails Luhn's, 9111 1111 1111 1111 is of no brand, 41111111111111111",
        "000-12-3456, 666-12-3456, 987-65-4321, 123-00-4567, 123-45-0000, 1-219-09-9999",
        "Ask-and-you-shall-receive, the dark task-of-all-tasks-in-the-world, sk-is-no-key-at-all",
        "The password: say friend and enter. His password, Swordfish, was known.",
        "He met her @ noon; prices @ 5.00, and a@b is too short, as is @home.example.org",
        "MMMMMMMMMMMMMMMMMMMMMMMMMM... 1st, 2nd, 3rd, A1B2, xoxo, eyJ",
        "AKIAIOSFODNN7EXAMPLEXXXX and 12345678901234567890123 and 1234567890123",
    ],
)
def test_years_pages_books_and_sums_are_nothing(prose: str):
    assert find_secrets(prose) == []


def test_several_on_a_line_come_in_order():
    text = (
        "Mail a@example.org, call 555-123-4567 or pay 4111 1111 1111 1111 12/26.\n😀 b@example.org"
    )
    assert [(found.kind, text[found.start]) for found in find_secrets(text)] == [
        ("e-mail address", "a"),
        ("phone number", "5"),
        ("payment card", "4"),
        ("e-mail address", "b"),
    ]


def test_lines_near_and_far_are_all_searched():
    line = "Call 555-123-4567 or write.\n"
    long_line = line.strip() + " and so on" * 200 + line
    text = line + "A quiet page.\n" * 200 + line + line + long_line + line + long_line.strip()
    starts = [found.start for found in find_secrets(text)]
    assert [text[start : start + 12] for start in starts] == ["555-123-4567"] * 8


def test_masked_text_keeps_its_length_and_all_but_the_finds():
    text = "“Née,” she wrote.\nmy password: hunter22\nto a@example.org, é +49 170 1234567."
    assert mask_secrets(text) == (
        f"“Née,” she wrote.\nmy {MASK * 18}\nto {MASK * 13}, é {MASK * 15}."
    )
    assert mask_secrets("Nobody in 1812.") == "Nobody in 1812."


def test_what_lies_in_another_find_is_masked_with_it():
    text = f"password: {GITHUB}\nyes"
    assert len(find_secrets(text)) == 2
    assert mask_secrets(text) == MASK * (len(text) - 4) + "\nyes"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\\n"])
def test_a_private_key_is_masked_with_all_its_lines(line_end: str):
    headers = ("Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-256-CBC,00") if line_end == "\n" else ()
    head = "-----BEGIN " + "RSA PRIVATE KEY-----"
    key = line_end.join((head, *headers, "", LETTERS[:64], LETTERS[1:65], "Qw=="))
    masked = mask_secrets(f"His key:\n{key}{line_end}-----END RSA PRIVATE KEY-----\nand more.")
    assert (
        masked.replace(MASK, "") == f"His key:\n{line_end}-----END RSA PRIVATE KEY-----\nand more."
    )


# Each of these makes a careless pattern quadratic, which at this length is hours.
@pytest.mark.parametrize(
    "piece",
    [
        *("1", "1 ", "+1(", "a@", "a.", "eyJ", "eyJa.", "sk-", "AA11 ", "M", "1.2.3.", "xoxb-"),
        *("password=", "password: ", "-----BEGIN A ", "12345\n", "012 ", "4111 1111 "),
        *("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\nAbc: d\nef\n"),
    ],
)
def test_hostile_text_takes_linear_time(piece: str):
    assert len(find_secrets(piece * (100_000 // len(piece)) + " 1a1")) < 100_000 / 10


@relaxed
@given(st.text(st.sampled_from("1234 .-+()@aé😀\ud800\n"), max_size=60), st.text(max_size=40))
def test_what_stands_before_moves_the_find_and_changes_nothing(before: str, after: str):
    text = f"{before}\n{GITHUB}\n{after}"
    start = len(before) + 1
    assert Found("GitHub token", start, start + len(GITHUB)) in find_secrets(text)
    assert all(0 <= found.start < found.end <= len(text) for found in find_secrets(text))


@relaxed
@given(st.lists(st.sampled_from([value for _, value in REAL]) | st.text(max_size=9), max_size=5))
def test_masking_moves_nothing_and_hides_every_find(pieces: list[str]):
    text = "\n".join(pieces)
    masked = mask_secrets(text)
    assert len(masked) == len(text)
    hidden = {at for found in find_secrets(text) for at in range(found.start, found.end)}
    assert masked == "".join(MASK if at in hidden else text[at] for at in range(len(text)))
