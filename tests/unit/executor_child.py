"""What the executor's tests start in place of a trainer: does what CHILD_DOES says.

usage: executor_child.py KIND JOB ATTEMPT
"""

from __future__ import annotations

import os
import signal
import sys
import time

from lmft.jobs.folder import RESULT, VALIDATED, JobFolder


def main() -> int:
    kind, job, attempt = sys.argv[1], sys.argv[2], int(sys.argv[3])
    does, folder = os.environ["CHILD_DOES"], JobFolder(job)
    name = RESULT if kind == "train" else VALIDATED

    def stop(number: int, _: object) -> None:
        folder.write(name, {"attempt": attempt, "ended": "stopped"})
        os._exit(128 + number)

    def ignore(number: int, _: object) -> None:
        print("ignored", flush=True)

    with folder.locked(5):
        signal.signal(signal.SIGTERM, ignore if does == "ignore" else stop)
        helper = ()
        if does == "fork":
            helper = (os.fork(),)
            if not helper[0]:
                time.sleep(600)
        print("ready", os.getpid(), *helper, flush=True)
        if does == "fork":
            time.sleep(1)
        if does == "chatter":
            for _ in range(10):
                sys.stdout.write("x" * (1 << 20) + "\n")
        if does in ("wait", "ignore"):
            while True:
                time.sleep(1)
        if does == "vanish":
            return 0
        print("finished", flush=True)
        folder.write(name, {"attempt": attempt, "ended": "done"})
    return 0


if __name__ == "__main__":
    # Not by way of the fork's clean-up.
    sys.stdout.flush()
    os._exit(main())
