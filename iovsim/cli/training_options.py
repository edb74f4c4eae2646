"""The options that say how to train, the same for every command that does."""

from __future__ import annotations

from typing import Annotated

import typer

from iovsim.domain import Precision, TrainerKind

TrainerOption = Annotated[
    TrainerKind,
    typer.Option("--trainer", help="batched: many vehicles at once; peft: one by one, the reference. Equal results."),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="Of the frozen model; bf16 is faster where the processor has it, and less exact."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda or cuda:<number>.")]
