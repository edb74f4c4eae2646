"""iovsim: a discrete-event simulator of federated LoRA fine-tuning in the Internet of Vehicles, with real training."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("iovsim")
