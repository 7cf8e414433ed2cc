"""Where Gradio puts what is dropped on a page, until it is passed on: a directory of this process.

Gradio's own place is /tmp/gradio, which other users of the machine can read.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile


@functools.cache
def keep_private() -> str:
    """Make it, readable for us alone; it goes when the process ends in order."""
    made = tempfile.mkdtemp(prefix="lmft-pages-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    os.environ["GRADIO_TEMP_DIR"] = made
    return made
