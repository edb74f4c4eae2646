"""Turns what happens in a run into declared tables: rounds, jobs and their phases, energy, merges, evaluations."""

from __future__ import annotations

from iovsim.domain import JobStatus, LossReason, PhaseKind
from iovsim.results.schema import Column, ColumnType, Table, count, maybe, one_of, real, text

COURSE = (
    Table(
        "rounds",
        "one task's part of one round of one RSU",
        (
            text("rsu", "the RSU that ran the round"),
            count("round", "number of the round at this RSU, from 0"),
            text("task", "the task"),
            real("start_s", "s", "start of the round, simulated time"),
            real("end_s", "s", "end of the round"),
            count("clients", "vehicles the policy could choose from"),
            count("planned", "vehicles it chose for this task"),
            count("delivered", "jobs whose update reached the server"),
            count("lost", "jobs that ended without an update"),
            real("energy_budget_j", "J", "budget of the round for this task, vehicles and RSU together"),
            maybe(
                "estimated_j", "J", "what the plan was estimated to cost when it was admitted; null if without bound"
            ),
            real("energy_j", "J", "what the round did cost, vehicles and RSU together"),
            real("overrun_j", "J", "energy above budget, 0 where the round kept it"),
            maybe("loss_before", "1", "mean training loss of the updates in their first epoch; null without updates"),
            maybe("loss_after", "1", "mean training loss of the updates in their last epoch; null without updates"),
            count("samples", "training samples behind the delivered updates"),
            maybe("mean_rank", "1", "mean LoRA rank of the planned jobs; null without jobs"),
        ),
    ),
    Table(
        "jobs",
        "one client's job in one round",
        (
            count("job", "number of the job in the run"),
            text("rsu", "the RSU that gave the job"),
            count("round", "number of the round at this RSU"),
            text("task", "the task"),
            text("vehicle", "the vehicle"),
            count("contact", "the contact over which the job ran"),
            text("tier", "device tier of the vehicle"),
            count("rank", "LoRA rank that was trained"),
            count("local_epochs", "local epochs that were asked for"),
            count("samples", "training samples of the vehicle"),
            real("bandwidth_down_hz", "Hz", "downlink bandwidth"),
            real("bandwidth_up_hz", "Hz", "uplink bandwidth"),
            real("power_w", "W", "power the vehicle radiates while it sends"),
            real("start_s", "s", "start of the job, simulated time"),
            real("end_s", "s", "end of the job, or the horizon if it was still in flight"),
            one_of("status", JobStatus, "how it ended (iovsim.domain.JobStatus)"),
            one_of("reason", LossReason, "what broke it off (iovsim.domain.LossReason)"),
            real("distance_m", "m", "distance to the RSU when the job was planned"),
            maybe("forecast_residual_s", "s", "forecast of the rest of the contact at the start; null if unbounded"),
            real("true_residual_s", "s", "what the rest of the contact really was"),
            real("downlink_bits", "bit", "bits carried to the vehicle"),
            real("uplink_bits", "bit", "bits carried from the vehicle"),
            real("energy_j", "J", "energy of all phases, vehicle and RSU together"),
            maybe("loss_before", "1", "mean training loss of the first epoch; null where nothing was delivered"),
            maybe("loss_after", "1", "mean training loss of the last epoch; null where nothing was delivered"),
            maybe("fraction", "1", "share of the planned epochs that was done; null where nothing was delivered"),
        ),
    ),
    Table(
        "phases",
        "one stretch of one job",
        (
            count("job", "number of the job"),
            one_of("phase", PhaseKind, "what it did (iovsim.domain.PhaseKind)"),
            real("start_s", "s", "start, simulated time"),
            real("end_s", "s", "end"),
            Column("completed", ColumnType.FLAG, "", "whether the phase reached its end"),
            real("bits", "bit", "bits really carried"),
            real("vehicle_j", "J", "energy the vehicle really spent"),
            real("rsu_j", "J", "energy the RSU really spent"),
        ),
    ),
    Table(
        "energy",
        "one entry of the energy ledger; the entries add up to all energy of the run",
        (
            real("time_s", "s", "when the energy was booked, simulated time"),
            one_of("owner", ("vehicle", "rsu"), "who spent it"),
            text("rsu", "the RSU it was spent for"),
            text("vehicle", "the vehicle it was spent for; empty if for none"),
            text("task", "the task it was spent for; empty if for none"),
            one_of("phase", ("", *PhaseKind), "in which phase (iovsim.domain.PhaseKind); empty outside of jobs"),
            one_of("cause", (*PhaseKind, "wasted"), "why: what the job did, or wasted where it was lost"),
            real("energy_j", "J", "the energy"),
        ),
    ),
    Table(
        "merges",
        "one merge of a task's adapters across RSUs",
        (
            real("time_s", "s", "when, simulated time"),
            count("merge", "number of the merge, from 1"),
            text("task", "the task"),
            count("rsus", "RSUs that contributed"),
            count("updates", "updates since the last merge"),
            count("samples", "training samples behind those updates"),
            count("rank", "rank of the merged adapter"),
            maybe("stable_rank", "1", "mean over layers of squared Frobenius over squared spectral norm"),
        ),
    ),
    Table(
        "evaluations",
        "one merged adapter on one held-out set",
        (
            real("time_s", "s", "when the adapter came into force, simulated time"),
            count("merge", "number of the merge, 0 before the first"),
            one_of(
                "scope",
                ("global", "class", "district", "validation", "vehicle"),
                "the task's held-out set as a whole, of one class, or of one district; its validation samples; or one "
                "vehicle's own held-out samples",
            ),
            text("task", "the task"),
            text("subject", "the class, the district's number or the vehicle; empty for scopes global and validation"),
            count("samples", "size of the set"),
            real("accuracy", "1", "share of correct answers, 0 to 1; for a class its recall"),
            real("macro_f1", "1", "mean F1 score of the classes, 0 to 1; for a class its own F1 score"),
            maybe("loss", "1", "mean loss; null where it is not finite"),
            maybe("calibration_error", "1", "expected calibration error (Guo et al. 2017, 15 bins), 0 to 1"),
        ),
    ),
)
