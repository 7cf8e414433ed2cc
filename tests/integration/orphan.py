"""Run by test_vllm_plugin: a parent that is killed, and a child that may or may not outlive it.

    python orphan.py before|after DIRECTORY

The child calls die_with_parent "before" or "after" its parent is dead, and writes `survived` if
it is still there afterwards. `parent` and `child` hold the process ids.
"""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path


def child(when: str, directory: Path) -> None:
    from serving.vllm_plugin.die_with_parent import die_with_parent

    if when == "before":
        die_with_parent()
    parent = multiprocessing.parent_process().pid
    (directory / "child").write_text(str(os.getpid()))  # the parent's sign to end
    while os.getppid() == parent:
        time.sleep(0.01)
    if when == "after":
        die_with_parent()
    (directory / "survived").touch()


if __name__ == "__main__":
    directory = Path(sys.argv[2])
    multiprocessing.get_context("spawn").Process(
        target=child, args=(sys.argv[1], directory)
    ).start()
    while not (directory / "child").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
