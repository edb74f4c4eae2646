"""TOML texts become frozen, checked models; every complaint names file, key, value and the nearest valid name."""

from __future__ import annotations

from iovsim.config.builtin import builtin_policies, builtin_scenarios
from iovsim.config.model import Kind
from iovsim.config.policy import PolicyFile, load_policy, policy_from
from iovsim.config.scenario import Scenario, SiteSection, load_scenario, scenario_from
from iovsim.config.study import StudyFile, load_study, study_from
from iovsim.config.tasks import (
    BackboneSection,
    BuiltinData,
    DataSection,
    DatasetData,
    FolderData,
    HubSection,
    MinilmSection,
    ModelFolderSection,
    NpzData,
    RoadVitSection,
    ShardsSection,
    TaskSection,
    TsvData,
)

__all__ = [
    "BackboneSection",
    "BuiltinData",
    "DataSection",
    "DatasetData",
    "FolderData",
    "HubSection",
    "Kind",
    "MinilmSection",
    "ModelFolderSection",
    "NpzData",
    "PolicyFile",
    "RoadVitSection",
    "Scenario",
    "ShardsSection",
    "SiteSection",
    "StudyFile",
    "TaskSection",
    "TsvData",
    "builtin_policies",
    "builtin_scenarios",
    "load_policy",
    "load_scenario",
    "load_study",
    "policy_from",
    "scenario_from",
    "study_from",
]
