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
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies; exit now if it already has.

    Linux only; elsewhere a killed parent leaves the child to be ended by hand.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        sys.exit(1)
