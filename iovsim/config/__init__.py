"""TOML texts become frozen, checked models; every complaint names file, key, value and the nearest valid name."""

from __future__ import annotations

from iovsim.config.model import Kind
from iovsim.config.policy import PolicyFile, builtin_policies, load_policy, policy_from
from iovsim.config.scenario import (
    FolderData,
    NpzData,
    Scenario,
    SignsData,
    SiteSection,
    TaskSection,
    load_scenario,
    scenario_from,
)

__all__ = [
    "FolderData",
    "Kind",
    "NpzData",
    "PolicyFile",
    "Scenario",
    "SignsData",
    "SiteSection",
    "TaskSection",
    "builtin_policies",
    "load_policy",
    "load_scenario",
    "policy_from",
    "scenario_from",
]
