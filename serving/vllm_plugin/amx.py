"""Ask Linux for the CPU's tile registers (AMX) before vLLM's attention uses them.

The kernel gives them to a process once it has asked, and else ends it (SIGILL). vLLM 0.32's
attention in bf16 uses them and does not ask: mostly a matrix product of oneDNN has done so
before, but those of a narrow model do not want tiles.
"""


def allow_amx() -> None:
    """May be called any number of times; does nothing on a CPU or a kernel without AMX."""
    import torch

    torch.cpu._init_amx()
