"""Declares every table of a run folder, column by column, and turns the declarations into Arrow schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pyarrow as pa

from iovsim.domain import ContactEnd, JobStatus, LossReason, PhaseKind
from iovsim.errors import near_match


class ColumnType(StrEnum):
    """What a cell holds. Statuses, reasons and causes are texts, so that a file explains itself."""

    TEXT = "text"
    WHOLE = "whole"
    REAL = "real"
    FLAG = "flag"


ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    ColumnType.TEXT: pa.string(),
    ColumnType.WHOLE: pa.int64(),
    ColumnType.REAL: pa.float64(),
    ColumnType.FLAG: pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is "" for names and flags, "1" for pure numbers; a nullable REAL holds null for "none".

    `choices`, if any, are the only texts allowed.
    """

    name: str
    type: ColumnType
    unit: str
    meaning: str
    nullable: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table: a file `tables/<name>.parquet` of the run folder. `meaning` says what one row is."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema; unit and meaning travel as metadata of each field."""
        fields = [
            pa.field(c.name, ARROW_TYPES[c.type], nullable=c.nullable, metadata={"unit": c.unit, "meaning": c.meaning})
            for c in self.columns
        ]
        return pa.schema(fields, metadata={"table": self.name, "meaning": self.meaning})


def table(name: str) -> Table:
    """The declared table `name`; `KeyError` (a mistake in the program) where there is none."""
    if name not in TABLES:
        raise KeyError(f"no table {name!r}: {near_match(name, TABLES)}")
    return TABLES[name]


def _text(name: str, meaning: str) -> Column:
    return Column(name, ColumnType.TEXT, "", meaning)


def _one_of(name: str, choices: Iterable[str], meaning: str) -> Column:
    return Column(name, ColumnType.TEXT, "", meaning, choices=tuple(str(choice) for choice in choices))


def _count(name: str, meaning: str) -> Column:
    return Column(name, ColumnType.WHOLE, "1", meaning)


def _real(name: str, unit: str, meaning: str) -> Column:
    return Column(name, ColumnType.REAL, unit, meaning)


def _maybe(name: str, unit: str, meaning: str) -> Column:
    return Column(name, ColumnType.REAL, unit, meaning, nullable=True)


_DECLARED = (
    Table(
        "rounds",
        "one task's part of one round of one RSU",
        (
            _text("rsu", "the RSU that ran the round"),
            _count("round", "number of the round at this RSU, from 0"),
            _text("task", "the task"),
            _real("start_s", "s", "start of the round, simulated time"),
            _real("end_s", "s", "end of the round"),
            _count("clients", "vehicles the policy could choose from"),
            _count("planned", "vehicles it chose for this task"),
            _count("delivered", "jobs whose update reached the server"),
            _count("lost", "jobs that ended without an update"),
            _real("energy_budget_j", "J", "budget of the round for this task, vehicles and RSU together"),
            _maybe(
                "estimated_j", "J", "what the plan was estimated to cost when it was admitted; null if without bound"
            ),
            _real("energy_j", "J", "what the round did cost, vehicles and RSU together"),
            _real("overrun_j", "J", "energy above budget, 0 where the round kept it"),
            _maybe("loss_before", "1", "mean training loss of the updates in their first epoch; null without updates"),
            _maybe("loss_after", "1", "mean training loss of the updates in their last epoch; null without updates"),
            _count("samples", "training samples behind the delivered updates"),
            _maybe("mean_rank", "1", "mean LoRA rank of the planned jobs; null without jobs"),
        ),
    ),
    Table(
        "jobs",
        "one client's job in one round",
        (
            _count("job", "number of the job in the run"),
            _text("rsu", "the RSU that gave the job"),
            _count("round", "number of the round at this RSU"),
            _text("task", "the task"),
            _text("vehicle", "the vehicle"),
            _count("contact", "the contact over which the job ran"),
            _text("tier", "device tier of the vehicle"),
            _count("rank", "LoRA rank that was trained"),
            _count("local_epochs", "local epochs that were asked for"),
            _count("samples", "training samples of the vehicle"),
            _real("bandwidth_down_hz", "Hz", "downlink bandwidth"),
            _real("bandwidth_up_hz", "Hz", "uplink bandwidth"),
            _real("power_w", "W", "power the vehicle radiates while it sends"),
            _real("start_s", "s", "start of the job, simulated time"),
            _real("end_s", "s", "end of the job, or the horizon if it was still in flight"),
            _one_of("status", JobStatus, "how it ended (iovsim.domain.JobStatus)"),
            _one_of("reason", LossReason, "what broke it off (iovsim.domain.LossReason)"),
            _real("distance_m", "m", "distance to the RSU when the job was planned"),
            _maybe("forecast_residual_s", "s", "forecast of the rest of the contact at the start; null if unbounded"),
            _real("true_residual_s", "s", "what the rest of the contact really was"),
            _real("downlink_bits", "bit", "bits carried to the vehicle"),
            _real("uplink_bits", "bit", "bits carried from the vehicle"),
            _real("energy_j", "J", "energy of all phases, vehicle and RSU together"),
            _maybe("loss_before", "1", "mean training loss of the first epoch; null where nothing was delivered"),
            _maybe("loss_after", "1", "mean training loss of the last epoch; null where nothing was delivered"),
            _maybe("fraction", "1", "share of the planned epochs that was done; null where nothing was delivered"),
        ),
    ),
    Table(
        "phases",
        "one stretch of one job",
        (
            _count("job", "number of the job"),
            _one_of("phase", PhaseKind, "what it did (iovsim.domain.PhaseKind)"),
            _real("start_s", "s", "start, simulated time"),
            _real("end_s", "s", "end"),
            Column("completed", ColumnType.FLAG, "", "whether the phase reached its end"),
            _real("bits", "bit", "bits really carried"),
            _real("vehicle_j", "J", "energy the vehicle really spent"),
            _real("rsu_j", "J", "energy the RSU really spent"),
        ),
    ),
    Table(
        "energy",
        "one entry of the energy ledger; the entries add up to all energy of the run",
        (
            _real("time_s", "s", "when the energy was booked, simulated time"),
            _one_of("owner", ("vehicle", "rsu"), "who spent it"),
            _text("rsu", "the RSU it was spent for"),
            _text("vehicle", "the vehicle it was spent for; empty if for none"),
            _text("task", "the task it was spent for; empty if for none"),
            _one_of("phase", ("", *PhaseKind), "in which phase (iovsim.domain.PhaseKind); empty outside of jobs"),
            _one_of("cause", (*PhaseKind, "wasted"), "why: what the job did, or wasted where it was lost"),
            _real("energy_j", "J", "the energy"),
        ),
    ),
    Table(
        "evaluations",
        "one merged adapter on one held-out set",
        (
            _real("time_s", "s", "when the adapter came into force, simulated time"),
            _count("merge", "number of the merge, 0 before the first"),
            _one_of("scope", ("global", "vehicle"), "the task's held-out set, or one vehicle's own held-out samples"),
            _text("task", "the task"),
            _text("vehicle", "the vehicle; empty for scope global"),
            _count("samples", "size of the held-out set"),
            _real("accuracy", "1", "share of correct answers, 0 to 1"),
            _real("macro_f1", "1", "mean F1 score of the classes, 0 to 1"),
            _maybe("loss", "1", "mean loss; null where it is not finite"),
        ),
    ),
    Table(
        "merges",
        "one merge of a task's adapters across RSUs",
        (
            _real("time_s", "s", "when, simulated time"),
            _count("merge", "number of the merge, from 1"),
            _text("task", "the task"),
            _count("rsus", "RSUs that contributed"),
            _count("updates", "updates since the last merge"),
            _count("samples", "training samples behind those updates"),
            _count("rank", "rank of the merged adapter"),
            _maybe("stable_rank", "1", "mean over layers of squared Frobenius over squared spectral norm"),
        ),
    ),
    Table(
        "contacts",
        "one vehicle attached to one RSU",
        (
            _count("contact", "number of the contact in the world"),
            _text("vehicle", "the vehicle"),
            _text("rsu", "the RSU"),
            _real("start_s", "s", "start, simulated time"),
            _real("end_s", "s", "end"),
            _one_of("end", ContactEnd, "why it ended (iovsim.domain.ContactEnd)"),
            _real("distance_min_m", "m", "smallest distance to the RSU"),
            _real("mean_gain_db", "dB", "mean of the gain without small-scale fading, averaged in dB"),
            _real("los_share", "1", "share of the time in line of sight"),
            _real("nlos_share", "1", "share of the time behind a building"),
        ),
    ),
    Table(
        "handovers",
        "one vehicle going from one RSU to the next",
        (
            _real("time_s", "s", "start of the new contact, simulated time"),
            _text("vehicle", "the vehicle"),
            _text("from_rsu", "the RSU it left"),
            _text("to_rsu", "the RSU it came to"),
            _real("gap_s", "s", "time without any contact in between"),
        ),
    ),
    Table(
        "rsus",
        "one RSU",
        (
            _text("rsu", "the RSU"),
            _real("x_m", "m", "east coordinate of the antenna"),
            _real("y_m", "m", "north coordinate of the antenna"),
            _real("height_m", "m", "antenna height"),
            _real("range_m", "m", "coverage radius"),
        ),
    ),
    Table(
        "density",
        "one square cell of the map in which vehicles spent time",
        (
            _real("x_m", "m", "east coordinate of the cell's centre"),
            _real("y_m", "m", "north coordinate of the cell's centre"),
            _real("cell_m", "m", "side of the cell"),
            _real("vehicle_s", "s", "time that vehicles spent in it, summed over vehicles"),
        ),
    ),
    Table(
        "connectivity",
        "the city at one instant",
        (
            _real("time_s", "s", "simulated time"),
            _count("vehicles", "vehicles in the city"),
            _count("connected", "those attached to an RSU"),
        ),
    ),
    Table(
        "shapes",
        "one corner of one line or outline of the map, in order",
        (
            _one_of("kind", ("road", "building"), "what is drawn"),
            _count("shape", "number of the road or building"),
            _count("point", "number of the corner"),
            _real("x_m", "m", "east coordinate"),
            _real("y_m", "m", "north coordinate"),
        ),
    ),
    Table(
        "shards",
        "one vehicle's data for one task",
        (
            _text("vehicle", "the vehicle"),
            _count("district", "the district it belongs to"),
            _text("tier", "device tier of the vehicle"),
            _text("task", "the task"),
            _count("train_samples", "samples it trains on"),
            _count("test_samples", "its own held-out samples"),
            _count("classes", "different classes among its training samples"),
        ),
    ),
)

TABLES: Mapping[str, Table] = {declared.name: declared for declared in _DECLARED}
