"""All kinds that scenario and policy files can name, by where they stand in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from iovsim.learning.aggregate import AGGREGATORS
from iovsim.mobility.forecast import FORECASTS
from iovsim.policies import BUDGETS, POLICIES, STAGES
from iovsim.radio import FADING, PATH_LOSS, SHADOWING

KINDS: Mapping[str, Mapping[str, Callable[..., object]]] = {
    "policy": POLICIES,
    "policy, in stages": STAGES,
    "aggregator": AGGREGATORS,
    "budget": BUDGETS,
    "forecast": FORECASTS,
    "radio.path_loss": PATH_LOSS,
    "radio.shadowing": SHADOWING,
    "radio.fading": FADING,
}
