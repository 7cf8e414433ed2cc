"""What each method of OpenAI's SDK does against lmft: every one is called, none is assumed.

    python scripts/sdk_table.py --url http://127.0.0.1:8321 --write

asks a running server and writes the table into docs/openai.md; without --write it prints it. The
server trains a tiny job meanwhile. A test keeps the table and the server together.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "openai.md"
BEGIN, END = "<!-- sdk table: scripts/sdk_table.py -->\n", "<!-- end of the sdk table -->"
GROUPS = ("fine_tuning", "files", "uploads", "models")
WAIT_SECONDS = 600
SMALL = {"recipe": {"training": {"epochs": 0.05, "evaluations": 1}, "format": {"kind": "chat"}}}
# Not methods that ask a server.
_OTHER = {"with_raw_response", "with_streaming_response"}


def methods(client: openai.OpenAI) -> list[str]:
    """Every public method under the four groups, as one would write it."""
    return [name for group in GROUPS for name in _under(getattr(client, group), group)]


def _under(resource: Any, path: str) -> Iterator[str]:
    for name in dir(type(resource)):
        if name.startswith("_") or name in _OTHER:
            continue
        found = getattr(resource, name)
        if callable(found) and not hasattr(found, "_client"):
            yield f"{path}.{name}"
        elif hasattr(found, "_client"):
            yield from _under(found, f"{path}.{name}")


def conversations() -> bytes:
    rows = []
    for number in range(40):
        said = [
            {"role": "user", "content": f"What is behind door {number}?"},
            {"role": "assistant", "content": f"Behind door {number} is a lamp, and room {number}."},
        ]
        rows.append(json.dumps({"messages": said}))
    return "\n".join(rows).encode()


class Calls:
    """One call of each method, in an order in which each has what it needs."""

    def __init__(self, client: openai.OpenAI) -> None:
        self.client = client
        self.said: dict[str, str] = {}

    def table(self) -> str:
        """Raises RuntimeError: the SDK has a method that is not called here."""
        self._call_all()
        names = methods(self.client)
        missing = set(names) ^ set(self.said)
        if missing:
            raise RuntimeError(f"not called, or no method: {sorted(missing)}")
        rows = [f"| `client.{name}` | {self.said[name]} |" for name in names]
        return "\n".join(["| method | |", "|---|---|", *rows]) + "\n"

    def _try(self, name: str, call: Callable[[], Any]) -> Any:
        try:
            found = call()
        except openai.APIStatusError as error:
            body: Any = error.body
            message = str(body["message"]).replace("|", "\\|")
            self.said[name] = f"{error.status_code} `{body['code']}`: {message}"
            return None
        self.said[name] = "works"
        return found

    def _call_all(self) -> None:
        file = self._files()
        self._uploads()
        self._jobs(file)
        self._refused()
        self._try("files.delete", lambda: self.client.files.delete(file))

    def _files(self) -> str:
        files = self.client.files
        made = self._try(
            "files.create",
            lambda: files.create(file=("rows.jsonl", conversations()), purpose="fine-tune"),
        )
        id: str = made.id
        self._try("files.list", files.list)
        self._try("files.retrieve", lambda: files.retrieve(id))
        self._try("files.content", lambda: files.content(id))
        self._try("files.retrieve_content", lambda: _unwarned(lambda: files.retrieve_content(id)))
        self._try("files.wait_for_processing", lambda: files.wait_for_processing(id))
        return id

    def _uploads(self) -> None:
        uploads, text = self.client.uploads, conversations()
        about: dict[str, Any] = {
            "bytes": len(text),
            "filename": "rows.jsonl",
            "mime_type": "text/jsonl",
            "purpose": "fine-tune",
        }
        made = self._try("uploads.create", lambda: uploads.create(**about))
        part = self._try(
            "uploads.parts.create", lambda: uploads.parts.create(made.id, data=io.BytesIO(text))
        )
        self._try("uploads.complete", lambda: uploads.complete(made.id, part_ids=[part.id]))
        other = uploads.create(**about)
        self._try("uploads.cancel", lambda: uploads.cancel(other.id))
        self._try(
            "uploads.upload_file_chunked",
            lambda: uploads.upload_file_chunked(
                file=text,
                filename="rows.jsonl",
                bytes=len(text),
                mime_type="text/jsonl",
                purpose="fine-tune",
            ),
        )

    def _jobs(self, file: str) -> None:
        jobs, models = self.client.fine_tuning.jobs, self.client.models

        def create(hold: bool) -> Any:
            extra = {"lmft": SMALL | {"hold": hold}}
            return jobs.create(model="embedded", training_file=file, extra_body=extra)

        held = create(True)
        self._try("fine_tuning.jobs.pause", lambda: jobs.pause(held.id))
        self._wait(held.id, "paused")
        self._try("fine_tuning.jobs.resume", lambda: jobs.resume(held.id))
        self._try("fine_tuning.jobs.cancel", lambda: jobs.cancel(held.id))
        made = self._try("fine_tuning.jobs.create", lambda: create(False))
        done = self._wait(made.id, "succeeded")
        self._try("fine_tuning.jobs.retrieve", lambda: jobs.retrieve(made.id))
        self._try("fine_tuning.jobs.list", jobs.list)
        self._try("fine_tuning.jobs.list_events", lambda: jobs.list_events(made.id))
        self._try("fine_tuning.jobs.checkpoints.list", lambda: jobs.checkpoints.list(made.id))
        self._try("models.list", models.list)
        self._try("models.retrieve", lambda: models.retrieve(done.fine_tuned_model))
        self._try("models.delete", lambda: models.delete(done.fine_tuned_model))

    def _refused(self) -> None:
        tuning, checkpoint = self.client.fine_tuning, "ft:embedded:me:model:00000000:ckpt-step-1"
        permissions, graders = tuning.checkpoints.permissions, tuning.alpha.graders
        name = "fine_tuning.checkpoints.permissions"
        self._try(f"{name}.create", lambda: permissions.create(checkpoint, project_ids=["p"]))
        self._try(f"{name}.list", lambda: permissions.list(checkpoint))
        self._try(f"{name}.retrieve", lambda: _unwarned(lambda: permissions.retrieve(checkpoint)))
        self._try(
            f"{name}.delete",
            lambda: permissions.delete("cp_1", fine_tuned_model_checkpoint=checkpoint),
        )
        grader: Any = {
            "type": "string_check",
            "name": "same",
            "input": "{{sample.output_text}}",
            "reference": "a",
            "operation": "eq",
        }
        name = "fine_tuning.alpha.graders"
        self._try(f"{name}.run", lambda: graders.run(grader=grader, model_sample="a"))
        self._try(f"{name}.validate", lambda: graders.validate(grader=grader))

    def _wait(self, id: str, status: str) -> Any:
        """Raises RuntimeError where the job ends otherwise."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            job = self.client.fine_tuning.jobs.retrieve(id)
            if str(job.status) == status:
                return job
            if job.finished_at is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the job is not {status}: {job}")
            time.sleep(0.5)


def _unwarned(call: Callable[[], Any]) -> Any:
    """The SDK calls it deprecated; it is one of its methods all the same."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return call()


def written(document: str, table: str) -> str:
    """The document with this table in the place of the one it has."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="of a running server, without /v1")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    options = parser.parse_args()
    with openai.OpenAI(base_url=f"{options.url}/v1", api_key="none", max_retries=0) as client:
        table = Calls(client).table()
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(written(text, table), encoding="utf-8")
    else:
        print(table, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
