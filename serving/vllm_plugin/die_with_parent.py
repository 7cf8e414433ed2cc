"""Let the kernel end vLLM's child processes when the API server that started them dies.

`kill -9` of the API server leaves no chance to clean up: the engine core would stay, with its
memory and its cores, and serve nobody. Linux can send a signal to a child when its parent dies.
"""

import ctypes
import multiprocessing
import os
import signal
import sys

SWITCH = "LMFT_ENGINE_DIE_WITH_PARENT"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Have this process killed when its parent dies, if it is a child that vLLM started.

    Does something only on Linux, only with LMFT_ENGINE_DIE_WITH_PARENT=1, and only in a
    multiprocessing child (engine core, worker). The API server is not one; whoever starts it
    looks after it.

    The parent, to the kernel, is the *thread* that started the child. vLLM starts its children
    from the API server's main thread. A program that starts an engine from a helper thread must
    leave the switch off: the engine would die with that thread.
    """
    if sys.platform != "linux" or os.environ.get(SWITCH) != "1":
        return
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    # A parent that died before the call above sends no signal any more; by then this process
    # belongs to init or a subreaper. vLLM starts children by fork or spawn, so that a living
    # parent is always the direct one. _exit, because there is nobody left to clean up for.
    if os.getppid() != parent.pid:
        os._exit(1)
