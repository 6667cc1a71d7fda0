"""Tunes malloc and the garbage collector for pages and answers, which are large and short-lived."""

import ctypes
import gc

# Constants from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 128 * 1024


def tune_malloc() -> None:
    """Stop glibc from raising its thresholds after a large page, and limit its heaps to two."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return
    mallopt(_M_ARENA_MAX, 2)
    mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


def tune_collector() -> None:
    """Exempt all modules from collections, and make collections rare.

    A scrape makes thousands of objects and hardly a cycle; a full collection of 30,000 series takes 20 ms.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
