"""What is said of this machine is taken out of a message, and nothing else is."""

from __future__ import annotations

import pytest

from lmft.public import without_machine


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The disk of /home/op/.local/share is full.", "The disk of (...) is full."),
        ("No such file: '/etc/x y'", "No such file: '(...) y'"),
        ("~/lmft/base is a directory", "(...) is a directory"),
        ("./models/Mine and ../other/base are bases", "(...) and (...) are bases"),
        ("LMFT_BASES=/models/mine", "LMFT_BASES=(...)"),
        ("at http://127.0.0.1:80/x, 10.0.0.1:5432 or 0xdeadbeef", "at (...) (...) or (...)"),
        ("first /a/b line\n  second /c/d line\n", "first (...) line\n  second (...) line\n"),
    ],
)
def test_paths_and_addresses_are_not_told(said: str, told: str) -> None:
    assert without_machine(said) == told


def test_a_data_directory_with_spaces_in_it_is_one_path(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path / "my old disk"))
    said = f"The disk of {tmp_path}/my old disk/jobs/ftjob-1 is full."
    assert without_machine(said) == "The disk of (...) is full."


@pytest.mark.parametrize(
    "text",
    [
        "Step 12/300: training loss=2.19",
        "measured 1,280 tokens/s: about 3.0 min",
        "chat.jsonl:7: no `messages` and/or `prompt`",
        "ft:embedded:me:inn now means ft:embedded:me:inn:1f2e3d4c",
        "EleutherAI/gpt-neo-125m is a GPTNeoForCausalLM",
        "GET /v1/lmft/recipes shows what it can say.",
        "Set LMFT_HOME to another disk. Version 1.2.3; 3 / 4.",
    ],
)
def test_what_is_of_no_machine_stays(text: str) -> None:
    assert without_machine(text) == text
