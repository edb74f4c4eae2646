"""The options that say where finished training is kept, the same for every command that does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Folder for finished training (default: 'training' in the cache folder)."),
]
NoStoreOption = Annotated[
    bool, typer.Option("--no-store", help="Train everything anew, and keep nothing for later runs.")
]
LimitOption = Annotated[
    float, typer.Option("--store-limit", metavar="GIB", help="What was used longest ago is removed above this size.")
]
