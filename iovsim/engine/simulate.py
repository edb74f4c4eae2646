"""A setting becomes a run: the SimPy clock, the rounds of all RSUs and the merges between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import simpy

from iovsim.domain import Metrics, Trainer, Tuning, World
from iovsim.engine.cloud import evaluate, merge, validate
from iovsim.engine.finish import finish
from iovsim.engine.migrate import migrate
from iovsim.engine.round import open_round, serve_round
from iovsim.engine.state import Crowd, Setting, Spent, State
from iovsim.engine.supply import draw
from iovsim.engine.traffic import drive_on
from iovsim.rng import seed_of

UNMEASURED = Metrics(samples=0, accuracy=0.0, macro_f1=0.0, loss=math.nan, calibration_error=math.nan)
"""Of an adapter that nobody has looked at yet."""


def simulate(setting: Setting, progress: Callable[[float], None]) -> State:
    """Runs from `world.start_s` to `world.end_s` and records everything; `progress` gets the fraction done.

    Returns the final state, whose `merged` adapters are the result of the training.
    """
    state = initial_state(setting.world, setting.trainer, setting.method.tuning)
    for task in setting.world.tasks:
        validate(setting, state, setting.world.start_s, task)
        evaluate(setting, state, setting.world.start_s, task)
    state.validated_before = dict(state.validated)
    env = simpy.Environment(initial_time=setting.world.start_s)
    env.process(_city(env, setting, state, progress))
    env.run()
    merge(setting, state, setting.world.end_s, last=True)
    progress(1.0)
    return state


def initial_state(world: World, trainer: Trainer, tuning: Tuning = Tuning.LORA) -> State:
    """Every RSU starts from the same adapter, drawn from the world's seed: equal for all methods of one tuning."""
    merged = {}
    for task in world.tasks:
        seed = seed_of(world.seed, "initial adapter", task.task)
        merged[task.task] = trainer.initial(task.task, max(task.ranks_of(tuning)), seed, tuning)
    return State(
        initial=dict(merged),
        merged=merged,
        local={(r.rsu, t): merged[t] for r in world.rsus for t in r.tasks},
        budget_j={t.task: t.round_energy_j for t in world.tasks},
        validated=dict.fromkeys(merged, UNMEASURED),
        validated_before=dict.fromkeys(merged, UNMEASURED),
        spent={task: Spent() for task in merged},
        price={(r.rsu, t): 0.0 for r in world.rsus for t in r.tasks},
        crowd={(r.rsu, t): Crowd() for r in world.rsus for t in r.tasks},
    )


def _city(
    env: simpy.Environment, setting: Setting, state: State, progress: Callable[[float], None]
) -> Generator[simpy.Event, simpy.events.ConditionValue, None]:
    """Runs the rounds of all RSUs from `start + k * period`, in order of name, after a merge where one is due.

    A round may last until the next boundary; all rounds of a period are finished before anything of the next begins.
    """
    world = setting.world
    for number in range(rounds(world)):
        start_s = world.start_s + number * world.round_period_s
        yield env.timeout(max(start_s - env.now, 0.0))
        if number and number % world.merge_every_rounds == 0:
            merge(setting, state, start_s, last=False)
        progress(number / rounds(world))
        opened = [open_round(setting, state, rsu, number, start_s) for rsu in world.rsus]
        until_s = min(start_s + world.round_period_s, world.end_s)
        drive_on(setting, opened, until_s)
        over = yield env.all_of([env.process(serve_round(env, setting, state, of_rsu)) for of_rsu in opened])
        jobs = finish(setting, state, migrate(world, list(over.values())))
        draw(setting, jobs, until_s)
        state.busy.clear()
        state.spent_j.clear()


def rounds(world: World) -> int:
    """How many rounds begin before the horizon."""
    whole, rest = divmod(world.end_s - world.start_s, world.round_period_s)
    return int(whole) + (1 if rest > 1e-9 * world.round_period_s else 0)
