"""Linux lets a process use AMX once it has asked: see serving.vllm_plugin.amx."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

_PERMITTED = """
import ctypes
from serving.vllm_plugin.amx import allow_amx

# arch_prctl(ARCH_GET_XCOMP_PERM), and the bit of the tiles' data (asm/prctl.h, asm/fpu/types.h).
permitted = ctypes.c_uint64()
def tiles():
    assert ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(permitted)) == 0
    return bool(permitted.value >> 18 & 1)

before = tiles()
allow_amx()
allow_amx()
print(before, tiles())
"""


def test_it_is_allowed_where_there_is_any():
    if "amx_tile" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has no AMX")
    asked = [sys.executable, "-c", _PERMITTED]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
