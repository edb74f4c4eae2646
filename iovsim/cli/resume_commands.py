"""`resume`: folders of unfinished runs become finished ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iovsim.cli.run_commands import CacheOption, run_and_tell
from iovsim.cli.store_options import NoStoreOption
from iovsim.cli.study_commands import resume_study
from iovsim.cli.training_options import JobsOption
from iovsim.errors import ScenarioError
from iovsim.learning.store.place import LIMIT_GIB, chosen_store
from iovsim.paths import usable_cache


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("resume")(resume)


def resume(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Run folders, folders with runs below, or the folder of a study."),
    ],
    jobs: JobsOption = 1,
    store: Annotated[
        Path | None, typer.Option("--store", help="Folder for finished training (default: each run's own).")
    ] = None,
    no_store: NoStoreOption = False,
    cache: CacheOption = None,
) -> None:
    """Finish runs and studies that were killed, interrupted or failed, as they were begun, wherever this is given."""
    if no_store and store is not None:
        raise ScenarioError(f"--store {store} and --no-store exclude each other; give one of them.")

    from iovsim.experiment.resume import unfinished_runs  # late: torch takes seconds, a misspelt name must not
    from iovsim.studies.folder import NAME as STUDY

    folder = usable_cache(cache)
    asked = chosen_store(store, no_store, LIMIT_GIB, folder)
    for study in (path for path in folders if (path / STUDY).is_file()):
        resume_study(study, folder, asked, jobs)
    left = [path for path in folders if not (path / STUDY).is_file()]
    if not left:
        return
    specs = unfinished_runs(left)
    if store is not None or no_store:
        specs = [replace(spec, store=asked) for spec in specs]
    if not specs:
        Console().print("nothing to resume: all runs are complete")
        return
    run_and_tell(specs, folder, jobs=jobs, overwrite=False)
