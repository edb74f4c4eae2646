"""One thread a process: several workers share the cores, and sums come out equal in every bit."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits


def use_one_thread() -> None:
    """Keeps torch's operators and numpy's linear algebra to one thread each, for the rest of the process.

    On busy cores two threads were measured ten times slower than one.
    """
    torch.set_num_threads(1)
    threadpool_limits(limits=1)
