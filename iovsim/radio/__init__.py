"""Turns contacts into links: path loss, shadowing and fading along every track, then rates and finished transfers.

A chain of small filters, each in a file of its own, each found by name in one of three plain dictionaries::

    contacts ▸ geometry ▸ buildings, LOS state ▸ path loss ▸ shadowing ▸ fading ▸ LinkTable      (channel.py)
    two contacts ▸ the same chain ▸ Link                                                         (sidelink.py)
    Link ▸ rate_bps ▸ transfer                                                                   (rate.py, transfer.py)

A new model is one small frozen dataclass with one method (`PathLoss`, `Shadowing` or `Fading` in `geometry.py`); its
fields are the parameters a scenario may set.
"""

from __future__ import annotations

from iovsim.radio.blockage import Buildings
from iovsim.radio.channel import Channel
from iovsim.radio.fading import NoFading, RayleighFading, RicianFading
from iovsim.radio.geometry import LOS, NLOS, NLOSV, Fading, LinkGeometry, PathLoss, Shadowing
from iovsim.radio.path_loss import AuthorsP1, LogDistance, Tr37885Highway, Tr37885Urban
from iovsim.radio.rate import rate_bps
from iovsim.radio.shadowing import CorrelatedShadowing, NoShadowing
from iovsim.radio.sidelink import Sidelinks
from iovsim.radio.table import LinkTable, save_parts
from iovsim.radio.transfer import Transfer, transfer, transfer_s

PATH_LOSS: dict[str, type[PathLoss]] = {
    "tr37885-urban": Tr37885Urban,
    "tr37885-highway": Tr37885Highway,
    "log-distance": LogDistance,
    "authors-p1": AuthorsP1,
}
SHADOWING: dict[str, type[Shadowing]] = {"correlated": CorrelatedShadowing, "none": NoShadowing}
FADING: dict[str, type[Fading]] = {"rayleigh": RayleighFading, "rician": RicianFading, "none": NoFading}

__all__ = [
    "FADING",
    "LOS",
    "NLOS",
    "NLOSV",
    "PATH_LOSS",
    "SHADOWING",
    "Buildings",
    "Channel",
    "Fading",
    "LinkGeometry",
    "LinkTable",
    "PathLoss",
    "Shadowing",
    "Sidelinks",
    "Transfer",
    "rate_bps",
    "save_parts",
    "transfer",
    "transfer_s",
]
