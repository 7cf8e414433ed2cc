"""Run where there is no network but loopback: the whole loop, from upload to chat. Prints, as JSON,
what the model said and how often anything here tried to reach beyond this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import openai

from scripts.sdk_table import conversations
from tests.conftest import ROOT, START_SECONDS, free_port, wait_ready

SMALL = {"recipe": {"training": {"epochs": 1, "evaluations": 1}}}


def loop(url: str) -> str:
    """Upload, train, ask; what the tuned model says."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=START_SECONDS) as client:
        file = client.files.create(file=("rows.jsonl", conversations()), purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="embedded", training_file=file.id, extra_body={"lmft": SMALL}
        )
        while job.finished_at is None:
            time.sleep(0.5)
            job = client.fine_tuning.jobs.retrieve(job.id)
        if job.fine_tuned_model is None:
            raise RuntimeError(str(job))
        answer = client.chat.completions.create(
            model=job.fine_tuned_model,
            messages=[{"role": "user", "content": "Have you a room?"}],
            max_tokens=8,
        )
        return answer.choices[0].message.content or ""


def beyond() -> dict[str, int]:
    """How often something was to be sent where no way leads, by the kernel's own count: a
    connection, a datagram, a question for a name."""
    names, values = (
        line.split()
        for line in Path("/proc/net/snmp").read_text().splitlines()
        if line.startswith("Ip:")
    )
    six = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return {
        "ipv4": int(dict(zip(names, values, strict=True))["OutNoRoutes"]),
        "ipv6": int(six["Ip6OutNoRoutes"]),
    }


def main(home: str) -> int:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # What lmft does by itself, not what the tests' own setting makes of it.
    environment = {**os.environ, "LMFT_HOME": home}
    del environment["HF_HUB_OFFLINE"]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "--port", str(port)],
        cwd=ROOT,
        stdout=sys.stderr,
        env=environment,
    )
    try:
        wait_ready(url, process)
        said = loop(url)
    finally:
        process.terminate()
        process.wait(START_SECONDS)
    print(json.dumps({"said": said, "beyond": beyond()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
