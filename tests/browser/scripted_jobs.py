"""The jobs of the scripted gateway: files, recipes and fine-tuning as docs/api.md has them.

A job does what the test says, when it says it: `validated`, `stepped`, `ended` and their like.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from tests.browser.script import ADVENTURE, BASE

NOW = 1795300000
STEPS = 102


class ScriptedJobs:
    """
    Attributes:
        refuse_files: name -> (status, code, message).
        created: bodies of jobs, with their idempotency keys. told: (id, verb), as they came.
        holds: whether what is created waits to be validated by the test.
        rows_at_once: of metrics, however many are asked for.
    """

    def __init__(self, app: FastAPI) -> None:
        # Never one twice, as on a real server: the pages remember what they know of a job.
        self._numbers = itertools.count(1)
        self.reset()
        self._files(app)
        self._jobs(app)
        self._more(app)

    def reset(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.refuse_files: dict[str, tuple[int, str, str]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.created: list[tuple[dict[str, Any], str | None]] = []
        self.told: list[tuple[str, str]] = []
        self.holds = False
        self.rows_at_once = 10_000
        self._by_key: dict[str | None, str] = {}

    @property
    def newest(self) -> str:
        return next(reversed(self.jobs))

    def add(self, body: dict[str, Any], **more: Any) -> str:
        """A job, made here or by anybody elsewhere."""
        number = next(self._numbers)
        id = f"ftjob-{number:04d}"
        extra = body.get("lmft") or {}
        job = {
            "object": "fine_tuning.job",
            "id": id,
            "created_at": NOW + number,
            "started_at": None,
            "finished_at": None,
            "estimated_finish": None,
            "status": "validating_files",
            "error": None,
            "model": body["model"],
            "fine_tuned_model": None,
            "user_provided_suffix": body.get("suffix"),
            "metadata": body.get("metadata") or {},
            "hyperparameters": {"n_epochs": "auto"},
        }
        suffix = body.get("suffix") or "model"
        self.jobs[id] = {
            "object": "lmft.job",
            "job": job | more,
            "wish": "",
            "progress": {"step": 0, "steps": None, "attempt": 0},
            "adapter": f"ft:{BASE}:me:{suffix}:{number:08x}",
            "files": [body["training_file"], *extra.get("files", [])],
            "preset": extra.get("preset") or "adventure",
            "request": body,
            "corpus": None,
            "plan": None,
            "rows": [],
            "samples": [],
            "events": [],
        }
        self.say(id, "Created fine-tuning job")
        return id

    def say(self, id: str, message: str, level: str = "info") -> None:
        events = self.jobs[id]["events"]
        events.append(
            {
                "id": f"ftevent-{id}-{len(events)}",
                "created_at": NOW + len(events),
                "level": level,
                "type": "message",
                "message": message,
                "data": None,
            }
        )

    def validated(self, id: str, report: dict[str, Any] | None = None) -> None:
        """Its files were looked at: it is held, or waits."""
        detail = self.jobs[id]
        held = (detail["request"].get("lmft") or {}).get("hold")
        detail["corpus"] = copy.deepcopy(report or REPORT)
        detail["plan"] = copy.deepcopy(PLAN)
        recipe = (detail["request"].get("lmft") or {}).get("recipe") or {}
        detail["plan"]["recipe"] |= recipe.get("training", {}) | recipe.get("lora", {})
        detail["progress"]["steps"] = STEPS
        detail["job"]["status"] = "paused" if held else "queued"
        self.say(id, "Files validated")

    def runs(self, id: str) -> None:
        detail = self.jobs[id]
        detail["job"] |= {"status": "running", "started_at": detail["job"]["started_at"] or NOW}
        detail["progress"]["attempt"] += 1

    def stepped(self, id: str, *steps: int) -> None:
        """It has trained so far."""
        detail = self.jobs[id]
        for step in steps:
            row = {"step": step, "tokens": step * 1024, "seconds": step * 0.8, "epoch": step / 34}
            loss = 3.4 - 1.3 * step / STEPS + 0.08 * (step * 7 % 5 - 2)
            if step:
                speed = {"tokens_per_second": 1280.8, "learning_rate": 1e-3}
                detail["rows"].append({"id": f"r{step}", **row, "loss": round(loss, 4), **speed})
            if step % 25 == 0:
                measured = round(1.31 - 0.3 * step / STEPS, 4)
                detail["rows"].append({"id": f"h{step}", **row, "heldout_loss": measured})
                for seed in (1, 2):
                    detail["samples"].append(
                        {"step": step, "seed": seed, "prompt": "> You open the door.\n"}
                        | {"text": f"The hinges shriek, step {step}. <b>Cold</b> air comes up."}
                    )
            detail["progress"]["step"] = step

    def ended(self, id: str, status: str, error: dict[str, Any] | None = None) -> None:
        job = self.jobs[id]["job"]
        job |= {"status": status, "finished_at": NOW + 90, "error": error}
        self.jobs[id]["wish"] = ""
        if status == "succeeded":
            job["fine_tuned_model"] = ADVENTURE

    def _files(self, app: FastAPI) -> None:
        @app.post("/v1/files")
        async def upload(request: Request) -> Response:
            async with request.form() as form:
                file, purpose = form["file"], form["purpose"]
                content = await file.read()
            assert purpose == "fine-tune"
            if refusal := self.refuse_files.get(file.filename):
                return _refused(*refusal)
            id = f"file-{next(self._numbers):04d}"
            self.files[id] = file.filename, content
            return JSONResponse({"object": "file", "id": id, "filename": file.filename})

        @app.get("/v1/files")
        async def files() -> dict[str, Any]:
            data = [
                {"id": id, "filename": name, "bytes": len(content)}
                for id, (name, content) in self.files.items()
            ]
            return {"object": "list", "data": data, "has_more": False}

    def _jobs(self, app: FastAPI) -> None:
        @app.post("/v1/fine_tuning/jobs")
        async def create(request: Request) -> Response:
            key, body = request.headers.get("idempotency-key"), await request.json()
            if key in self._by_key:
                return JSONResponse(self.jobs[self._by_key[key]]["job"])
            self.created.append((body, key))
            self._by_key[key] = id = self.add(body)
            if not self.holds:
                self.validated(id)
            return JSONResponse(self.jobs[id]["job"])

        @app.get("/v1/fine_tuning/jobs")
        async def jobs() -> dict[str, Any]:
            data = [detail["job"] for detail in reversed(self.jobs.values())]
            return {"object": "list", "data": data, "has_more": False}

        @app.post("/v1/fine_tuning/jobs/{id}/{verb}")
        async def tell(id: str, verb: str) -> Response:
            self.told.append((id, verb))
            detail = self.jobs[id]
            job, status = detail["job"], detail["job"]["status"]
            if verb == "resume" and status == "paused":
                job["status"] = "queued"
            elif verb in ("pause", "cancel") and status == "running":
                detail["wish"] = verb
            elif verb == "pause" and status == "queued":
                job["status"] = "paused"
            elif verb == "cancel" and status in ("paused", "queued", "validating_files"):
                job["status"] = "cancelled"
            else:
                return _refused(400, "invalid_state", f"The job is {status}: it cannot {verb}.")
            return JSONResponse(job)

    def _more(self, app: FastAPI) -> None:
        def known(id: str) -> dict[str, Any] | None:
            return self.jobs.get(id)

        @app.get("/v1/lmft/recipes")
        async def recipes() -> dict[str, Any]:
            return {"object": "list", "data": RECIPES, "bases": [BASE]}

        @app.get("/v1/lmft/jobs/{id}")
        async def detail(id: str) -> Response:
            found = known(id)
            if found is None:
                return _refused(404, "fine_tune_not_found", f"There is no job {id}.")
            lists = ("rows", "samples", "events")
            return JSONResponse({key: found[key] for key in found if key not in lists})

        @app.get("/v1/lmft/jobs/{id}/metrics")
        async def metrics(id: str, after: str | None = None, limit: int = 1000) -> dict[str, Any]:
            rows = self.jobs[id]["rows"]
            begin = [row["id"] for row in rows].index(after) + 1 if after else 0
            limit = min(limit, self.rows_at_once)
            page = rows[begin : begin + limit]
            return {"object": "list", "data": page, "has_more": len(rows) > begin + limit}

        @app.get("/v1/lmft/jobs/{id}/samples")
        async def samples(id: str) -> dict[str, Any]:
            return {"object": "list", "data": self.jobs[id]["samples"], "has_more": False}

        @app.get("/v1/fine_tuning/jobs/{id}/events")
        async def events(id: str) -> dict[str, Any]:
            data = list(reversed(self.jobs[id]["events"]))
            return {"object": "list", "data": data, "has_more": False}


def _refused(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "e", "code": code}}, status)


def _recipe(id: str, title: str, method: str = "sft") -> dict[str, Any]:
    return {"id": id, "title": title, "recipe": {"method": method}}


RECIPES = [
    _recipe("adventure", "Teaches the embedded base to tell adventures."),
    _recipe("character", "Teaches the embedded base to be one person."),
    _recipe("prefer", "Teaches by comparison.", "dpo"),
    _recipe("ours", "A recipe of the house."),
]


def _tokens(*words: str) -> list[dict[str, Any]]:
    start = {"text": "<|endoftext|>", "trained": False, "is_start": True, "is_eos": False}
    plain = [{"text": word, "trained": True, "is_start": False, "is_eos": False} for word in words]
    return [start, *plain, start | {"is_start": False, "is_eos": True, "trained": True}]


def _side(n_documents: int, n_bytes: int) -> dict[str, Any]:
    return {"n_documents": n_documents, "n_parts": n_documents, "n_bytes": n_bytes, "sha256": "0"}


REPORT: dict[str, Any] = {
    "ready": True,
    "refusals": [],
    "warnings": ["2 documents are longer than the context; they are cut at paragraphs"],
    "corpus": {
        "kind": "adventure",
        "hash": "f6f72b1c5fb0",
        "n_documents": 39,
        "files": [
            {
                "name": "three-mugs.txt",
                "n_bytes": 2841,
                "reader": "text",
                "reason": "plain text",
                "kinds": ["adventure"],
                "n_documents": 1,
            }
        ],
        "train": _side(35, 108878),
        "heldout": _side(4, 12763),
        "cast": None,
        "speakers": [{"name": "Ada", "turns": 9, "n_bytes": 300}],
        "person": {"person": "second", "first": 6, "second": 1258, "third": 892},
        "languages": {"en": 0.93, "de": 0.07},
        "secrets": [{"kind": "e-mail address", "count": 2, "places": ["three-mugs.txt:12"]}],
        "n_duplicates": 1,
        "duplicates": [{"source": "b.txt", "of": "a.txt"}],
        "dropped": [{"reason": "licence text", "places": 1, "n_characters": 1800}],
        "drops": [
            {
                "file": "three-mugs.txt",
                "reason": "licence text",
                "first_line": 1,
                "last_line": 20,
                "n_characters": 1800,
                "excerpt": "The Project <script>alert(1)</script> eBook",
            }
        ],
        "n_faults": 1,
        "faults": ["bad.jsonl:3: no JSON"],
        "notes": ["typographic quotes were folded"],
    },
    "tokens": {
        "base": BASE,
        "context_length": 1024,
        "train": {"n_tokens": 29919, "n_trained": 29884},
        "heldout": {"n_tokens": 3551, "n_trained": 3547},
        "longest_source": "something-better-than-doves.txt",
        "longest_tokens": 916,
        "shown": [
            {
                "source": "three-mugs.txt",
                "n_tokens": 777,
                "tokens": [
                    *_tokens("The", " lamp", " on", " Hall", "ow", " Street", " is", " out", "."),
                    {"text": " [...] ", "trained": False},
                ],
            }
        ],
    },
}
PLAN: dict[str, Any] = {
    "base": BASE,
    "service": "lora",
    "plan": {"device": "cpu", "steps": STEPS, "tokens": 104448, "block_tokens": 256},
    "recipe": {"epochs": 3.0, "rank": 16, "alpha": 32, "learning_rate": 0.0015},
    "reasons": ["compute float32: no GPU", "batch_blocks 4: 1024 tokens a step"],
    "memory_bytes": {"peak": 1014128640, "free": 23020953600},
    "seconds": 141.1,
    "disk_bytes": {"total": 94122112},
    "energy": {
        "kwh": 0.000228,
        "watts": 20,
        "assumption": "10 W for each of 2 cores",
        "cost": None,
        "currency": "EUR",
    },
}
