"""Bad input through the real command: one line that says what, where and what to do; exit code 2
for a person's mistake and 1 for the machine's; nothing half-written left behind."""

from __future__ import annotations

import gzip
import random
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, START_SECONDS, free_port, run_lmft
from tests.unit.small_disk import mounted

USER, MACHINE = 2, 1
Done = subprocess.CompletedProcess

# find_spec finds nothing for a name that is None here: as good as an environment without vLLM,
# which would take minutes to install.
WITHOUT_VLLM = "import sys; sys.modules['vllm'] = None; from lmft.cli import main; main()"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def lmft(home: Path, *arguments: str) -> Done[str]:
    return run_lmft(*arguments, LMFT_HOME=str(home))


def assert_refused(done: Done[str], code: int, *says: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("Error: ")
    for part in says:
        assert part in lines[0]


def assert_nothing_left(home: Path) -> None:
    assert not home.exists() or list(home.rglob("*")) == []


# The text


def png() -> bytes:
    """A picture that a viewer would show: 64 x 64 grey noise."""
    rows = b"".join(b"\0" + random.Random(row).randbytes(64) for row in range(64))

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*pair) for pair in chunks)


@pytest.mark.parametrize(
    ("content", "says", "cure"),
    [
        (None, "No such file or folder: ", "Check the path"),
        (b"", "story.txt: the file is empty (0 bytes)", "Mend it"),
        (png(), "story.txt: is a PNG picture, whatever its name says", "give the text itself"),
        (gzip.compress(b"Once upon a time. " * 999), "story.txt: is a gzip archive", "Mend it"),
        (b"Once upon a time.\n", "too small to split: 1 document(s), 17 bytes", "Add text"),
    ],
    ids=["missing", "empty", "picture", "archive", "too small"],
)
def test_text_that_cannot_be_trained_on_is_refused(home, tmp_path, content, says, cure):
    file = tmp_path / "story.txt"
    if content is not None:
        file.write_bytes(content)
    done = lmft(home, "train", "adventure", "--data", str(file))
    assert_refused(done, USER, says, cure)
    assert_nothing_left(home)


def test_the_demo_refuses_the_same(home, tmp_path):
    file = tmp_path / "nowhere.txt"
    done = lmft(home, "demo", "--port", str(free_port()), "--data", str(file))
    assert_refused(done, USER, f"No such file or folder: {file}", "Check the path")
    assert_nothing_left(home)


# The recipe


def test_a_recipe_with_faults_is_refused_with_all_of_them(home, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("name: mine\ndata: .\nlearning_rate: 1\ntraining: {epochs: 0}\n")
    done = lmft(home, "train", str(recipe))
    assert_refused(
        done,
        USER,
        f"{recipe}: 2 faults: ",
        "`training.epochs`",
        "`learning_rate` is not a recipe key",
        "recipes/adventure.yaml",
    )
    assert_nothing_left(home)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nosuch"], ("No recipe nosuch.", "one of: adventure, character")),
        (["adventure", "--set", "training.speed=9"], ("`training.speed` is not a recipe key",)),
        (["adventure", "--set", "epochs"], ("--set epochs is not KEY=VALUE", "For example")),
    ],
)
def test_a_recipe_that_is_asked_for_wrongly_is_refused(home, arguments, says):
    assert_refused(lmft(home, "train", *arguments), USER, *says)
    assert_nothing_left(home)


def test_an_unknown_base_model_is_refused(home):
    done = lmft(home, "train", "adventure", "--set", "base=openai-community/no-such-model")
    assert_refused(
        done,
        USER,
        "The base model openai-community/no-such-model is not on this machine",
        "Check the id and the network",
    )
    assert_nothing_left(home)


# The models


@pytest.mark.parametrize("command", ["play", "serve --model", "models show"])
def test_an_unknown_model_is_refused(home, command):
    done = lmft(home, *command.split(), "nosuch")
    assert_refused(done, USER, "No adapter nosuch.", "`lmft models list`")
    assert_nothing_left(home)


def test_a_server_that_is_not_there_is_said(home):
    url = f"http://127.0.0.1:{free_port()}"
    done = lmft(home, "play", "embedded", "--url", url)
    assert_refused(done, USER, f"No lmft server answers at {url}.", "lmft serve")


# The machine


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_that_is_taken_is_refused(home, taken_port, command):
    done = lmft(home, command, "--port", str(taken_port))
    assert_refused(done, USER, f"Port {taken_port} is taken", "--port")
    assert_nothing_left(home)


def test_serving_beyond_this_machine_needs_a_key(home):
    done = lmft(home, "serve", "--host", "0.0.0.0", "--port", str(free_port()), "--no-ui")
    assert_refused(done, USER, "0.0.0.0 without a key", "Set LMFT_API_KEY")
    assert_nothing_left(home)


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_without_vllm_what_to_install_is_said(home, monkeypatch, command):
    monkeypatch.setenv("LMFT_HOME", str(home))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_VLLM, command],
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        cwd=ROOT,
    )
    assert_refused(done, MACHINE, "vLLM is not installed in this environment.", "make setup")
    assert_nothing_left(home)


@pytest.mark.parametrize("command", ["demo", "train adventure"])
def test_a_disk_that_is_too_full_is_refused_before_the_work(tmp_path, command):
    with mounted(tmp_path / "disk", "size=1m") as disk:
        done = lmft(disk / "home", *command.split())
        assert_refused(done, MACHINE, f"MB on the disk of {disk}/home", "set LMFT_HOME")
        assert list(disk.iterdir()) == []


def test_a_disk_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    with mounted(tmp_path / "disk", "ro") as disk:
        done = lmft(disk / "home", "demo")
    assert_refused(done, MACHINE, f"cannot be written to {disk}/home", "Set LMFT_HOME")


def test_a_data_directory_that_is_a_file_is_refused(home):
    home.write_text("not a directory")
    done = lmft(home, "demo")
    assert_refused(done, MACHINE, f"{home} is not a directory you can write to", "Set LMFT_HOME")
    assert home.read_text() == "not a directory"


# Help


@pytest.mark.parametrize(
    "command",
    ["", "demo", "pretrain", "doctor", "models", "models show", "corpus build", "jobs list"],
)
def test_every_command_explains_itself(home, command):
    done = lmft(home, *command.split(), "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Usage: " in done.stdout
    assert_nothing_left(home)


def test_help_shows_what_is_taken_where_nothing_is_said(home):
    """Rich's markup would swallow what stands in brackets."""
    for command, default in (
        ("train", "[default: the recipe's]"),
        ("serve", "[default: the newest]"),
        ("pretrain", "[default: the recipe's]"),
        ("keys create", "[default: inference, models:read]"),
        ("jobs list", "[default: this machine's own jobs]"),
    ):
        shown = " ".join(lmft(home, *command.split(), "--help").stdout.split())
        assert default in shown, command


def test_the_installed_command_is_this_one():
    script = Path(sys.executable).with_name("lmft")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0
    assert "demo" in done.stdout


def test_help_loads_nothing_heavy():
    script = (
        "import sys; sys.argv = ['lmft', '--help']\n"
        "from lmft.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'vllm', 'httpx', 'gradio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
