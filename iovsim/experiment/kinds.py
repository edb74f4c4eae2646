"""All kinds that scenario and policy files can name, by where they stand in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from iovsim.config import BackboneSection, DataSection
from iovsim.learning.aggregators.kinds import AGGREGATORS
from iovsim.mobility.forecast import FORECASTS
from iovsim.policies import BUDGETS, FALLBACKS, POLICIES, PRICES, STAGES, TRAFFIC_RULES
from iovsim.radio import FADING, PATH_LOSS, SHADOWING


def _sections(choice: Any) -> dict[str, Callable[..., object]]:
    """By kind the models of a table that is one of several; `choice` is their union, as the configuration has it."""
    models = get_args(get_args(choice)[0])
    return {kind: model for model in models for kind in get_args(model.model_fields["kind"].annotation)}


KINDS: Mapping[str, Mapping[str, Callable[..., object]]] = {
    "policy": POLICIES,
    "policy, in stages": STAGES,
    "aggregator": AGGREGATORS,
    "budget": BUDGETS,
    "price": PRICES,
    "forecast": FORECASTS,
    "fallback": FALLBACKS,
    "traffic": TRAFFIC_RULES,
    "radio.path_loss": PATH_LOSS,
    "radio.shadowing": SHADOWING,
    "radio.fading": FADING,
    "tasks.data": _sections(DataSection),
    "tasks.backbone": _sections(BackboneSection),
}
