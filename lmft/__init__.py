"""Text in, adapter out: corpus compiler, trainer, registry and the `lmft` command."""

__version__ = "0.1.0"
