"""Keeping freed memory: large buffers that are mapped anew at every step cost more than the arithmetic on them."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Tell the C library to keep freed memory instead of giving it back to the system after every step.

    This is for programs that own their process, such as the command line; a library call leaves the allocator alone.
    Only the GNU C library knows it; elsewhere this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return  # not the GNU C library
    library.mallopt(M_MMAP_THRESHOLD, 1 << 30)
    library.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    library.mallopt(M_TOP_PAD, 64 << 20)
