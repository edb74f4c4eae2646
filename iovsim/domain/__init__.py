"""A run becomes nouns, in the order in which they appear in it, and protocols between the parts: read this first.

| file | holds |
|---|---|
| `arrays` | names of the arrays' types |
| `contacts` | RSUs, contacts, links, the radio; where they are looked up |
| `vehicles` | devices, shards, vehicles |
| `tasks` | tasks, adapters' rule, recipe, the model that is charged |
| `plans` | what a policy sees of a round, and says |
| `policies` | what a policy and a stage must do |
| `training` | adapters, training jobs, updates, failures, metrics; aggregators |
| `trainers` | how a run trains |
| `fallbacks` | what may be done with a job whose vehicle is about to leave, and who decides |
| `outcomes` | phases, jobs that are over, rounds that are over |
| `budgets` | what rules of budgets and prices see of what was spent, and must do |
| `world` | all that no policy can change |
| `batteries` | batteries of a live run, from which driving and jobs draw alike |
| `traffic` | what a method may do to traffic in a live run, and who does it |

Nothing here computes: parts exchange these frozen records and know each other only through the protocols.
Units are in the names: `_s _m _mps _hz _bps _bits _j _w _flops`. Gains are linear power ratios.
Arrays inside a record are read-only by convention; no part writes into what it was given.
"""

from __future__ import annotations

from iovsim.domain.arrays import Float32Array, FloatArray, IntArray
from iovsim.domain.batteries import Batteries, Battery, BatteryUse
from iovsim.domain.budgets import BudgetPolicy, CloudView, PriceRule, RoundUse, TaskUse
from iovsim.domain.contacts import (
    Contact,
    ContactBook,
    ContactEnd,
    Forecast,
    Link,
    LinkBook,
    Radio,
    Rsu,
    SidelinkBook,
)
from iovsim.domain.fallbacks import Fallback, FallbackView, Taken, Way, WayKind
from iovsim.domain.outcomes import ARRIVED, JobEnd, JobStatus, PhaseEnd, PhaseKind, RoundOutcome
from iovsim.domain.plans import Assignment, ClientView, Estimate, RoundPlan, RoundView, TaskView
from iovsim.domain.policies import Policy, Stage
from iovsim.domain.tasks import ROLES, Architecture, LoraRule, Recipe, Scaling, Task, Tuning
from iovsim.domain.traffic import (
    Drive,
    Reroute,
    SetSpeed,
    Station,
    StopAt,
    Traffic,
    TrafficAction,
    TrafficRule,
    TrafficView,
)
from iovsim.domain.trainers import Precision, Trainer, TrainerKind, TrainerSpec
from iovsim.domain.training import (
    Adapter,
    Aggregator,
    Evaluation,
    Failure,
    Head,
    LossReason,
    Metrics,
    Pruning,
    TrainJob,
    Update,
)
from iovsim.domain.vehicles import Device, Shard, Vehicle
from iovsim.domain.world import World

__all__ = [
    "ARRIVED",
    "ROLES",
    "Adapter",
    "Aggregator",
    "Architecture",
    "Assignment",
    "Batteries",
    "Battery",
    "BatteryUse",
    "BudgetPolicy",
    "ClientView",
    "CloudView",
    "Contact",
    "ContactBook",
    "ContactEnd",
    "Device",
    "Drive",
    "Estimate",
    "Evaluation",
    "Failure",
    "Fallback",
    "FallbackView",
    "Float32Array",
    "FloatArray",
    "Forecast",
    "Head",
    "IntArray",
    "JobEnd",
    "JobStatus",
    "Link",
    "LinkBook",
    "LoraRule",
    "LossReason",
    "Metrics",
    "PhaseEnd",
    "PhaseKind",
    "Policy",
    "Precision",
    "PriceRule",
    "Pruning",
    "Radio",
    "Recipe",
    "Reroute",
    "RoundOutcome",
    "RoundPlan",
    "RoundUse",
    "RoundView",
    "Rsu",
    "Scaling",
    "SetSpeed",
    "Shard",
    "SidelinkBook",
    "Stage",
    "Station",
    "StopAt",
    "Taken",
    "Task",
    "TaskUse",
    "TaskView",
    "Traffic",
    "TrafficAction",
    "TrafficRule",
    "TrafficView",
    "TrainJob",
    "Trainer",
    "TrainerKind",
    "TrainerSpec",
    "Tuning",
    "Update",
    "Vehicle",
    "Way",
    "WayKind",
    "World",
]
