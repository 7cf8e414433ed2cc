"""A child process that never outlives its parent, not even a killed one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "LMFT_PARENT_PID"
# A random key for the server that a command starts for itself, so that the command gets in where
# the person has made keys.
PARENT_KEY_VARIABLE = "LMFT_PARENT_KEY"
# Two signals to stop that come within this are one stop: whoever stops a service may tell all of
# its processes, and then their parents tell them too.
SAME_STOP_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies; exit now if it already has.

    Linux only; elsewhere a killed parent leaves the child to be ended by hand.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        sys.exit(1)
