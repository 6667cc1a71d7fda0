"""Ends the process without shutting down the interpreter."""

import logging
import os
import sys
from contextlib import suppress
from typing import NoReturn


def exit_process(code: int) -> NoReturn:
    """Flush the buffers and end the process with `code`. Close everything else before.

    The object storage library answers from its own threads. A thread that is still releasing an answer while the
    interpreter shuts down aborts the process: this hit one in four exits right after an answer.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None if it was closed at the start
            with suppress(OSError):  # a full disk
                stream.flush()
    os._exit(code)
