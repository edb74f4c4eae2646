"""iovsim: a discrete-event simulator of federated LoRA fine-tuning in the Internet of Vehicles, with real training.

What it offers, `iovsim.run` and the other names of `__all__`, is described in `iovsim.api`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iovsim.api import (
        Comparison,
        IovsimError,
        PolicyFile,
        Run,
        Scenario,
        Study,
        compare,
        find_runs,
        frame,
        load_policy,
        load_scenario,
        open_run,
        run,
        study,
    )

__version__ = version("iovsim")

__all__ = [
    "Comparison",
    "IovsimError",
    "PolicyFile",
    "Run",
    "Scenario",
    "Study",
    "__version__",
    "compare",
    "find_runs",
    "frame",
    "load_policy",
    "load_scenario",
    "open_run",
    "run",
    "study",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Imports the names above when first asked for: who needs `iovsim.errors` alone does not wait for pandas."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("iovsim.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
