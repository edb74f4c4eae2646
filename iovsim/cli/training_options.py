"""The options that say what to train and how become the same for every command that trains."""

from __future__ import annotations

from typing import Annotated

import typer

from iovsim.domain import Precision, TrainerKind
from iovsim.errors import ScenarioError

TaskOption = Annotated[list[str] | None, typer.Option("--task", "-t", help="A task (default: all); may be repeated.")]
RanksOption = Annotated[str, typer.Option(help="LoRA ranks: 8, or 2,4,8.")]
EpochsOption = Annotated[int, typer.Option(min=1, help="Passes over the whole training pool.")]
SeedsOption = Annotated[str, typer.Option("--seeds", "-s", help="Seeds: 1, or 1,2,5, or 1-5.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes, one thread each.")]
TrainerOption = Annotated[
    TrainerKind,
    typer.Option("--trainer", help="batched: many vehicles at once; peft: one by one, the reference. Equal results."),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Of the frozen model; bf16 is faster where the processor has it, and less exact."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:<number>.")]


def parse_ranks(text: str) -> list[int]:
    """`2,4,8` as numbers. Raises `ScenarioError` where it is something else."""
    parts = text.split(",")
    if not all(p.strip().isdecimal() and 1 <= int(p) <= 1024 for p in parts):
        raise ScenarioError(f"--ranks {text!r}: write numbers from 1 to 1024, for example 8, or 2,4,8.")
    return sorted({int(p) for p in parts})
