"""The aggregators that a policy file can name. A new one is one small file and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from iovsim.domain import Aggregator
from iovsim.learning.aggregators.adalora import AdaLora
from iovsim.learning.aggregators.fedavg import FedAvg
from iovsim.learning.aggregators.fedra import FedRa
from iovsim.learning.aggregators.flora import Flora
from iovsim.learning.aggregators.hetlora import HetLora
from iovsim.learning.aggregators.svd import SvdAggregator

AGGREGATORS: Mapping[str, type[Aggregator]] = {
    "fedavg": FedAvg,
    "svd": SvdAggregator,
    "hetlora": HetLora,
    "flora": Flora,
    "fedra": FedRa,
    "adalora": AdaLora,
}
