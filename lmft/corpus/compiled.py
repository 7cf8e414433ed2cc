"""A compiled corpus for a recipe: one that lies there, or raw text compiled on the way.

What is compiled on the way is kept under its hash in the data directory, so that an adapter's
corpus can be looked at later: its report, its documents, what was dropped.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmft import paths
from lmft.corpus.build import Settings, build_corpus, no_progress
from lmft.corpus.gather import Progress
from lmft.corpus.info import FILE_NAME, CorpusInfo
from lmft.corpus.store import Corpus, is_compiled, load_corpus
from lmft.errors import InputError

_HASH_CHARACTERS = 12


def corpus_for(data: Path, heldout_share: float, progress: Progress = no_progress) -> Corpus:
    """Load `data` if it is compiled, else compile it and keep the result.

    Raises:
        InputError, CorpusError: see lmft.corpus.build.
    """
    if is_compiled(data):
        return load_corpus(data)
    home = paths.corpora_dir()
    with paths.disk_errors(home), _made(home):
        with tempfile.TemporaryDirectory(prefix=".compiling-", dir=home) as scratch:
            made = Path(scratch) / "corpus"
            made.mkdir()
            info = build_corpus([data], made, Settings(heldout_share=heldout_share), progress)
            kept = home / info.hash[:_HASH_CHARACTERS]
            # Two at once, or the same text again: the one that is there says the same.
            if not is_compiled(kept):
                os.rename(made, kept)
    return load_corpus(kept)


@contextlib.contextmanager
def _made(directory: Path) -> Iterator[None]:
    """`directory` is there; if what follows fails and it is empty, it and its parent go again."""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            directory.rmdir()
            directory.parent.rmdir()
        raise


def build_into(
    inputs: Sequence[Path], out: Path, settings: Settings, progress: Progress = no_progress
) -> CorpusInfo:
    """Compile into `out`, which appears at once or not at all; an older corpus there is replaced.

    Raises:
        InputError: `out` is something else than a compiled corpus; and see lmft.corpus.build.
    """
    if out.exists() and not is_compiled(out) and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(
            f"{out} exists and is not a compiled corpus ({FILE_NAME} is not in it).",
            "Give a new folder after -o.",
        )
    inside = [
        path for path in inputs if path.is_dir() and out.resolve().is_relative_to(path.resolve())
    ]
    if inside:
        raise InputError(
            f"{out} lies inside the input {inside[0]}: the next run would read its own output.",
            "Give a folder elsewhere after -o.",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with (
        paths.disk_errors(out.parent),
        tempfile.TemporaryDirectory(prefix=".compiling-", dir=out.parent) as scratch,
    ):
        made = Path(scratch) / "corpus"
        made.mkdir()
        info = build_corpus(inputs, made, settings, progress)
        if out.exists():
            os.rename(out, Path(scratch) / "replaced")
        os.rename(made, out)
    return info
