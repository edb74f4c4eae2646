"""Turns the tables of a run into what its tasks' data are like: how much, of how many classes, held by whom."""

from __future__ import annotations

import pandas as pd

from iovsim.results.run import Run

PARTS = ("train", "validation", "test")


def data_statistics(run: Run) -> pd.DataFrame:
    """One row a task, sorted: its pool, and what vehicles hold of it. Raises `ResultsError` from reading tables.

    `train`, `validation` and `test` count the samples of the pool's parts, `classes` and `districts` those among them;
    `majority_share` is the most frequent class's share of the test part: the accuracy of who always answers it.
    `vehicles` hold some of the task's data: `samples_*` training samples each, of `classes_*` classes; `held_samples`
    are those of all vehicles together, and `held_majority_share` is the most frequent class's share of them.
    `until_s` is when the last sample came, NaN where all are held from the start. What is not known is NaN.
    """
    return pd.DataFrame([_statistics(run, task) for task in sorted(run.manifest.charge_as)])


def always_majority(run: Run, task: str) -> tuple[float, float] | None:
    """Held-out accuracy and macro F1 of who always answers the test part's most frequent class; None if not known.

    With its share p among C classes: accuracy p, F1 of that class 2 p / (1 + p), of all others 0, so macro F1
    2 p / (1 + p) / C.
    """
    classes = _class_samples(run, task, "test")
    if classes.sum() == 0:
        return None
    share = float(classes.max() / classes.sum())
    return share, 2 * share / (1 + share) / int((classes > 0).sum())


def class_samples_held(run: Run, task: str) -> pd.Series:
    """Training samples that vehicles hold, by class, the most frequent first; classes of the pool that none holds too.

    A sample that two vehicles hold counts twice.
    """
    held = _of_task(run, "shard_classes", task).groupby("class")["train_samples"].sum()
    every = _class_samples(run, task, "train").index.union(held.index)
    return held.reindex(every, fill_value=0).sort_values(ascending=False, kind="stable")


def _statistics(run: Run, task: str) -> dict[str, object]:
    pool, shards = _of_task(run, "data", task), _of_task(run, "shards", task)
    test, held = _class_samples(run, task, "test"), class_samples_held(run, task)
    return {
        "task": task,
        **{part: int(pool.loc[pool["part"] == part, "samples"].sum()) for part in PARTS},
        "classes": pool["class"].nunique(),
        "districts": pool.loc[pool["district"] != "", "district"].nunique(),
        "majority_share": _largest_share(test),
        "vehicles": len(shards),
        "samples_min": shards["train_samples"].min(),
        "samples_median": shards["train_samples"].median(),
        "samples_max": shards["train_samples"].max(),
        "classes_min": shards["classes"].min(),
        "classes_median": shards["classes"].median(),
        "classes_max": shards["classes"].max(),
        "held_samples": int(held.sum()),
        "held_majority_share": _largest_share(held),
        "until_s": shards["last_s"].max(),
    }


def _class_samples(run: Run, task: str, part: str) -> pd.Series:
    return _of_task(run, "data", task).query("part == @part").groupby("class")["samples"].sum()


def _of_task(run: Run, name: str, task: str) -> pd.DataFrame:
    table = run.table(name)
    return table[table["task"] == task]


def _largest_share(samples: pd.Series) -> float:
    return float(samples.max() / samples.sum()) if samples.sum() else float("nan")
