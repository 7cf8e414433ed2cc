"""A compiled corpus for a recipe: one that lies there, or raw text compiled on the way.

What is compiled on the way is kept under its hash in the data directory, so that an adapter's
corpus can be looked at later: its report, its documents, what was dropped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lmft import paths
from lmft.corpus.build import Settings, build_corpus, no_progress
from lmft.corpus.gather import Progress
from lmft.corpus.info import FILE_NAME, CorpusInfo
from lmft.corpus.source import SourceFile, find_sources
from lmft.corpus.store import FILES, Corpus, is_compiled, load_corpus
from lmft.errors import InputError

_HASH_CHARACTERS = 12


def corpus_for(
    data: Path,
    settings: Settings,
    progress: Progress = no_progress,
    *,
    heldout: Path | None = None,
) -> Corpus:
    """Load `data` if it is compiled (`settings` are its own then), else compile it and keep it.

    Args:
        heldout: text of its own to measure with, instead of a share of `data`.

    Raises:
        InputError, CorpusError: see lmft.corpus.build.
    """
    inputs: list[Path | SourceFile] = [data]
    if heldout is not None:
        for path in (data, heldout):
            if is_compiled(path):
                raise InputError(
                    f"{path} is a compiled corpus, which has a held-out side of its own.",
                    "Leave heldout out, or give the text itself of both.",
                )
        inputs = [*_named(data, "train"), *_named(heldout, "heldout")]
        settings = replace(settings, heldout_input="heldout")
    elif is_compiled(data):
        return load_corpus(data)
    home = paths.corpora_dir()
    with paths.disk_errors(home), _made(home), paths.scratch(home) as scratch:
        made = scratch / "corpus"
        made.mkdir()
        info = build_corpus(inputs, made, settings, progress)
        # What is there under this hash may tell of other files with the same text.
        kept = home / info.hash[:_HASH_CHARACTERS]
        paths.replace(made, kept)
    return load_corpus(kept)


def _named(path: Path, side: str) -> list[SourceFile]:
    """The files of one side, under a name that tells it from the other."""
    siblings: list[SourceFile] = []
    siblings += [
        SourceFile(file.path, f"{side}/{file.name}", siblings) for file in find_sources([path])
    ]
    return siblings


@contextlib.contextmanager
def _made(directory: Path) -> Iterator[None]:
    """`directory` is there; if what follows fails and it is empty, it and its parent go again."""
    paths.make_dir(directory)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            directory.rmdir()
            directory.parent.rmdir()
        raise


@contextlib.contextmanager
def compiling_into(out: Path, inputs: Sequence[Path]) -> Iterator[Path]:
    """Yield an empty directory that becomes `out` when all went well, or goes without a trace.

    An older corpus at `out` is replaced then, and is as it was until then.

    Raises:
        InputError: `out` holds something else, lies inside an input or holds one.
    """
    _require_ours(out)
    for path in inputs:
        inside, around = out.resolve(), path.resolve()
        if inside.is_relative_to(around) or around.is_relative_to(inside):
            raise InputError(
                f"{out} and the input {path} lie inside one another.",
                "Give a folder elsewhere after -o.",
            )
    with paths.disk_errors(out.parent):
        try:
            paths.make_dir(out.parent)
        except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
            raise InputError(
                f"There can be no folder {out}: {error.strerror}.", "Give another one after -o."
            ) from error
        with paths.scratch(out.parent) as scratch:
            made = scratch / "corpus"
            made.mkdir()
            yield made
            paths.replace(made, out)


def build_into(
    inputs: Sequence[Path], out: Path, settings: Settings, progress: Progress = no_progress
) -> CorpusInfo:
    """Compile into `out`. Raises: see `compiling_into` and lmft.corpus.build."""
    with compiling_into(out, inputs) as made:
        return build_corpus(inputs, made, settings, progress)


def _require_ours(out: Path) -> None:
    """`out` may be replaced only if everything in it was written by the compiler."""
    if not out.exists():
        return
    names = {file.name for file in out.iterdir()} if out.is_dir() else {""}
    if names and not (names <= FILES and FILE_NAME in names):
        raise InputError(
            f"{out} exists and is not a compiled corpus, or not only that.",
            "Give a new folder after -o.",
        )
