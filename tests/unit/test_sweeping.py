"""The server's sweep goes on, whatever one of its rounds meets."""

from __future__ import annotations

import asyncio
import io
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from lmft.files.file import NewFile
from lmft.files.files import Files
from lmft.store.database import open_store
from lmft.store.job_tables import files as table
from serving.gateway import sweeping


async def until(true) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_round_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LMFT_HOME", str(tmp_path))
    monkeypatch.setattr(sweeping, "_EVERY_SECONDS", 0.01)
    store = open_store(tmp_path / "lmft.db")
    files = Files(store)
    file = files.create(io.BytesIO(b"a tale"), NewFile(1, "evals", "a.txt"))
    with store.writing() as connection:
        connection.execute(update(table).values(deleted_at=1))
    content = files.path_of(file)
    content.unlink()
    # No file, and so nothing that can be unlinked.
    content.mkdir()

    async def sweeps() -> None:
        task = asyncio.create_task(sweeping.keep_swept(store))
        await until(lambda: "expired files stay for now" in caplog.text)
        content.rmdir()
        content.write_bytes(b"a tale")
        await until(lambda: not content.exists())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(sweeps())
    store.close()
