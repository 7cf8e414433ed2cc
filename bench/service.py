"""The service's lists with much in its store, asked over HTTP as a page or the SDK asks.

    python bench/service.py [--quick]

1,000 jobs with 100 events each, 1,000 files and 1,000 stories are written into a store; then a
server over it, whose engine has started and is idle, is asked for each list many times: the first
page, a late page, a full page, by metadata. The slowest hundredth counts.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sqlalchemy import insert  # noqa: E402

from bench.served.running import serving  # noqa: E402
from lmft import machine  # noqa: E402
from lmft.jobs.events import add_checkpoint, say  # noqa: E402
from lmft.jobs.job import NewJob, Said  # noqa: E402
from lmft.jobs.queue import create  # noqa: E402
from lmft.object_ids import mint_id  # noqa: E402
from lmft.store.database import Store, open_store  # noqa: E402
from lmft.store.job_tables import files  # noqa: E402

N_JOBS, N_EVENTS, N_FILES, N_STORIES = 1000, 100, 1000, 1000
BAR_MS = 50.0
PROJECT = 1


def fill(store: Store) -> list[str]:
    """Write all of it but the stories. Returns the ids of the jobs, oldest first."""
    now, ids = int(time.time()), []
    with store.writing() as connection:
        rows = [
            {
                "id": mint_id("file-"),
                "project": PROJECT,
                "purpose": "fine-tune",
                "filename": f"story {number}.txt",
                "bytes": 30_000,
                "sha256": f"{number:064x}",
                "created_at": now,
            }
            for number in range(N_FILES)
        ]
        connection.execute(insert(files), rows)
    for number in range(N_JOBS):
        with store.writing() as connection:
            job = create(connection, _job(number, rows[number % N_FILES]["id"]))
            ids.append(job.id)
            say(
                connection,
                job.number,
                [
                    Said(
                        f"Step {step}/{N_EVENTS}: training loss=2.5",
                        data={"step": step, "loss": 2.5, "tokens": step * 4096},
                        type="metrics",
                    )
                    for step in range(1, N_EVENTS - 1)
                ],
            )
            for step in (30, 60, 90):
                add_checkpoint(connection, job.number, step, f"{job.adapter}:ckpt-step-{step}", {})
    return ids


def _job(number: int, file: str) -> NewJob:
    request = {"model": "embedded", "training_file": file}
    return NewJob(
        PROJECT,
        None,
        "sft",
        "embedded",
        number,
        f"ft:embedded:me:story:{number:08x}",
        (file,),
        request,
        {"training": {"epochs": 3}},
        metadata={"team": f"team-{number % 10}", "number": str(number)},
        # They stay what they are.
        hold=True,
    )


def lists(http: httpx.Client, jobs: list[str]) -> Iterator[tuple[str, str]]:
    """Name and path of everything that is asked."""
    early, some = jobs[N_JOBS // 10], jobs[N_JOBS // 2]
    yield "jobs, first page", "/v1/fine_tuning/jobs"
    yield "jobs, 100", "/v1/fine_tuning/jobs?limit=100"
    yield "jobs, late page", f"/v1/fine_tuning/jobs?after={early}"
    yield "jobs, by metadata", "/v1/fine_tuning/jobs?metadata[team]=team-3"
    yield "jobs, the one with", "/v1/fine_tuning/jobs?metadata[number]=17"
    events = f"/v1/fine_tuning/jobs/{some}/events"
    last = http.get(f"{events}?limit=90").raise_for_status().json()["data"][-1]["id"]
    yield "events, first page", events
    yield "events, 100", f"{events}?limit=100"
    yield "events, late page", f"{events}?after={last}"
    yield "checkpoints", f"/v1/fine_tuning/jobs/{some}/checkpoints"
    yield "a job with all that is known", f"/v1/lmft/jobs/{some}"
    yield "metrics of a job", f"/v1/lmft/jobs/{some}/metrics"
    yield "files, 100", "/v1/files?limit=100"
    yield "stories", "/v1/lmft/stories"
    yield "models", "/v1/models"


def described() -> dict[str, object]:
    return {
        "cpu": machine.cpu_name(),
        "cores": machine.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="ask each list 30 times, not 300")
    quick = parser.parse_args().quick
    bars, rows = [], []
    with tempfile.TemporaryDirectory(prefix="lmft-bench-") as home:
        os.environ["LMFT_HOME"] = home
        store = open_store()
        jobs = fill(store)
        store.close()
        with (
            serving("--no-worker") as server,
            httpx.Client(base_url=server.target.url, timeout=60) as http,
        ):
            for number in range(N_STORIES):
                body = {"title": f"Story {number}", "model": "embedded", "kind": "adventure"}
                http.post("/v1/lmft/stories", json=body).raise_for_status()
            for name, path in lists(http, jobs):
                milliseconds = sorted(_asked(http, path) for _ in range(30 if quick else 300))
                slowest = milliseconds[int(0.99 * len(milliseconds))]
                rows.append(
                    {
                        "list": name,
                        "median_ms": round(statistics.median(milliseconds), 2),
                        "p99_ms": round(slowest, 2),
                    }
                )
                bars.append(
                    {
                        "name": f"{name}: ms, slowest hundredth",
                        "value": round(slowest, 1),
                        "target": BAR_MS,
                        "ok": slowest <= BAR_MS,
                    }
                )
                print(f"{name:<30} {rows[-1]['median_ms']:7.2f} ms median {slowest:7.2f} ms p99")
    result = {
        "what": f"lists over HTTP with {N_JOBS} jobs and {N_JOBS * N_EVENTS} events stored",
        "quick": quick,
        "machine": described(),
        "measured": rows,
        "bars": bars,
    }
    if not quick:
        path = ROOT / "bench" / "results" / "service.json"
        path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({"bars": bars}))


def _asked(http: httpx.Client, path: str) -> float:
    began = time.monotonic()
    http.get(path).raise_for_status()
    return 1000 * (time.monotonic() - began)


if __name__ == "__main__":
    main()
