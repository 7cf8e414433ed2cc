"""docs/openai.md does what it says: its commands and programs run as they stand, and its table
is what the SDK meets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from scripts.sdk_table import BEGIN, DOCUMENT, END, Calls, conversations
from tests.conftest import START_SECONDS, Gateway

pytestmark = pytest.mark.engine

_URL = "http://127.0.0.1:8321"


def blocks(language: str) -> Iterator[str]:
    """The code of the document in that language, block by block."""
    for found in re.finditer(
        rf"^```{language}\n(.*?)^```$",
        DOCUMENT.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    ):
        yield found[1]


def run(directory: Path, *command: str) -> str:
    """What it prints, where `chats.jsonl` lies."""
    (directory / "chats.jsonl").write_bytes(conversations())
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("jq"), reason="needs curl and jq")
def test_the_commands_of_the_document_run_as_they_stand(gateway: Gateway, tmp_path: Path) -> None:
    script = "\n".join(blocks("bash"))
    assert _URL in script
    out = run(tmp_path, "bash", "-euo", "pipefail", "-c", script.replace(_URL, gateway.url))
    assert "New fine-tuned model created: ft:embedded:me:innkeeper:" in out
    # The model and the file are gone.
    assert out.splitlines()[-2:] == ["true", "true"]


def test_the_programs_of_the_document_run_as_they_stand(gateway: Gateway, tmp_path: Path) -> None:
    program = "\n".join(blocks("python"))
    assert _URL in program
    assert run(tmp_path, sys.executable, "-c", program.replace(_URL, gateway.url)).strip()


def test_the_table_of_methods_is_what_a_server_says(gateway: Gateway) -> None:
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key="none", timeout=START_SECONDS, max_retries=0
    ) as client:
        table = Calls(client).table()
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    kept, _, _ = rest.partition(END)
    again = f"Run scripts/sdk_table.py --url {gateway.url} --write."
    assert kept.strip() == table.strip(), again
