"""What the compiler keeps of its findings, and what it only counts."""

from __future__ import annotations

from lmft.corpus.findings import MAX_NOTES_KEPT, Findings


def test_a_note_is_kept_once_in_order_and_the_rest_is_counted():
    findings = Findings()
    for number in [*range(MAX_NOTES_KEPT + 50)] * 2:
        findings.note(f"note {number}")
    kept = [f"note {number}" for number in range(MAX_NOTES_KEPT)]
    assert findings.notes == [*kept, "... and 50 more"]


def test_the_excerpt_of_a_drop_shows_no_secret():
    findings = Findings()
    findings.drop("a.txt", "monologue", "my password: hunter22\nwrite to a@example.org", 1, 2)
    (drop,) = findings.drops
    assert "hunter22" not in drop.excerpt
    assert "example" not in drop.excerpt
    assert drop.excerpt.startswith("my ••••")
    assert drop.n_characters == 44


def test_a_secret_that_an_excerpt_would_cut_in_two_is_masked_too():
    key = "sk-" + "Ab1" * 40
    for before in range(0, 300, 7):
        findings = Findings()
        findings.drop("a.txt", "page number", " " * before + key, 1, 1)
        assert "Ab1" not in findings.drops[0].excerpt
