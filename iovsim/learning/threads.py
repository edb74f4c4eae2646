"""One thread a process: several workers share the cores, and sums come out equal in every bit."""

from __future__ import annotations

import torch


def use_one_thread() -> None:
    """Keeps torch's operators to one thread. On busy cores two were measured ten times slower than one."""
    torch.set_num_threads(1)
