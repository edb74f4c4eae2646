"""`regret`: bandits play synthetic arms, or arms measured in runs, and their regret becomes a table and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from iovsim.cli.progress import interruptible, wide_console
from iovsim.cli.training_options import SeedsOption, TaskOption
from iovsim.config.seeds import parse_seeds
from iovsim.errors import ScenarioError
from iovsim.files import write_whole
from iovsim.policies.bandits import Quality
from iovsim.progress import shown

if TYPE_CHECKING:
    from iovsim.regret.arms import Arms

WEIGHTS = "0.6,0.2,0.2"
ROUNDS = 100_000
QUICK_ROUNDS = 20_000
"""Two decades and a third from round 100, where the fit begins."""


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command("regret")(regret)


def regret(
    bandit: Annotated[
        list[str] | None, typer.Option("--bandit", "-b", help="A bandit (default: all); may be repeated.")
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--runs", help="Play arms measured in these runs of fixed ranks instead; may be repeated."),
    ] = None,
    task: TaskOption = None,
    quality: Annotated[
        Quality, typer.Option(help="Of a measured job: exp(-loss), or how far its loss fell over its local epochs.")
    ] = Quality.LIKELIHOOD,
    weights: Annotated[
        str, typer.Option(help="Of quality, latency and energy in a measured job's reward; they sum to 1.")
    ] = WEIGHTS,
    seeds: SeedsOption = "1-10",
    rounds: Annotated[int | None, typer.Option(help=f"Rounds T (default: {ROUNDS}).")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"T = {QUICK_ROUNDS}: under a minute.")] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help="Budget of a round, as a share of what the dearest arms cost (default: 0.45; of measured arms 0.45 of "
            "the way from the cheapest to the dearest)."
        ),
    ] = None,
    drift: Annotated[
        int, typer.Option(help="The synthetic arms' rewards turn round every so many rounds; 0: never.")
    ] = 0,
    explore: Annotated[
        str, typer.Option(help="Factors for every bandit's constant of exploration: 1, or 0.25,0.5,1,2.")
    ] = "1",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the CSV files and the figure.")] = Path("regret"),
    to_json: Annotated[
        Path | None, typer.Option("--json", help="Also write the table, unrounded, to this file.")
    ] = None,
) -> None:
    """Play rank bandits under an energy budget, and fit how fast their regret grows.

    Regret is measured against the best mixture of ranks within the budget for who knows all means; what is overspent is
    charged at its price. See iovsim.regret.regret for the formulas, and iovsim.regret.players for the bandits.
    """
    numbers, factors = parse_seeds(seeds), _factors(explore)
    if quick and rounds is not None:
        raise ScenarioError("regret: --quick and --rounds exclude each other; give one of them.")
    horizon = rounds if rounds is not None else QUICK_ROUNDS if quick else ROUNDS
    arms = _arms(runs or (), task or (), quality, _weights(weights), budget, drift)

    from iovsim.regret.exponents import summarise
    from iovsim.regret.laboratory import laboratory

    console = Console()
    with interruptible("nothing was written"), shown(console) as report:
        rows = laboratory(arms, bandit or (), numbers, horizon, factors, report)
    found = summarise(rows)
    records = [asdict(one) for one in found]
    from iovsim.analysis.regret import write_regret

    for path in write_regret(rows, records, out):
        console.print(f"written: {path}", highlight=False, markup=False, soft_wrap=True)
    if to_json is not None:
        write_whole(to_json, (json.dumps(records, indent=2) + "\n").encode())
    from iovsim.cli.regret_tables import print_regret

    for one in arms:
        print_regret(wide_console(), one, [summary for summary in found if summary.arms == one.name])


def _arms(
    runs: Sequence[Path],
    tasks: Sequence[str],
    quality: Quality,
    weights: tuple[float, float, float],
    budget: float | None,
    drift: int,
) -> list[Arms]:
    if runs and drift:
        raise ScenarioError("regret: --drift is for the synthetic arms; leave it or --runs out.")
    if not runs:
        if tasks:
            raise ScenarioError("regret: --task is for arms measured in runs; add --runs FOLDER.")
        if (quality, weights) != (Quality.LIKELIHOOD, _weights(WEIGHTS)):
            raise ScenarioError("regret: --quality and --weights are for arms measured in runs; add --runs FOLDER.")
        from iovsim.regret.arms import BUDGET_SHARE, synthetic

        return [synthetic(BUDGET_SHARE if budget is None else budget, drift)]
    from iovsim.regret.measured import measured
    from iovsim.results import find_runs

    return measured(find_runs(runs), quality, budget, tasks, weights)


def _weights(text: str) -> tuple[float, float, float]:
    """`0.6,0.2,0.2` as numbers; what they must be is for the rule to say. Raises `ScenarioError`."""
    found = _numbers(text)
    if len(found) != 3:
        raise ScenarioError(f"--weights {text!r}: write three numbers that sum to 1, for example 0.6,0.2,0.2.")
    return found[0], found[1], found[2]


def _numbers(text: str) -> list[float]:
    """What stands between commas; nothing where that is no number."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return []


def _factors(text: str) -> list[float]:
    """`0.5,1` as numbers. Raises `ScenarioError`."""
    found = _numbers(text)
    if not found or not all(0 < factor < math.inf for factor in found):
        raise ScenarioError(f"--explore {text!r}: write numbers above 0, for example 1, or 0.25,0.5,1,2.")
    return found
