"""What a run says of its data against numbers counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iovsim.results import Charge, Manifest, Run, RunFolder, data_statistics, open_run
from iovsim.results.data import always_majority, class_samples_held

CLASSES = ("go", "stop", "yield")
POOL = {  # by part: samples of each class in district 0, then in district 1
    "train": ((20, 60, 5), (10, 30, 0)),
    "validation": ((1, 3, 0), (1, 2, 0)),
    "test": ((2, 6, 0), (2, 6, 0)),
}
HELD = {"a": {"stop": 9, "go": 1}, "b": {"stop": 4}, "c": {"go": 6}}


@pytest.fixture
def run(tmp_path: Path, manifest: Manifest) -> Run:
    """Task "signs" has data that came between 10 s and 90 s; task "lights" has none."""
    charge = Charge("roadvit", "roadvit")
    with RunFolder.create(tmp_path, replace(manifest, charge_as={"signs": charge, "lights": charge})) as folder:
        add = folder.recorder.add
        for part, districts in POOL.items():
            for district, counts in enumerate(districts):
                for name, samples in zip(CLASSES, counts, strict=True):
                    cell = {"task": "signs", "part": part, "district": str(district), "class": name}
                    add("data", **cell, samples=samples)
        for vehicle, held in HELD.items():
            who = {"vehicle": vehicle, "task": "signs"}
            many = {"train_samples": sum(held.values()), "test_samples": 2, "classes": len(held)}
            add("shards", **who, **many, district=0, tier="nano", first_s=10.0, last_s=70.0 + 10 * len(held))
            for name, samples in held.items():
                add("shard_classes", **who, **{"class": name}, train_samples=samples, test_samples=1)
    return open_run(tmp_path)


def test_statistics_are_those_counted_by_hand(run: Run) -> None:
    table = data_statistics(run).set_index("task")
    assert list(table.index) == ["lights", "signs"]
    assert table.loc["signs"].to_dict() == pytest.approx(
        {
            "train": 125,
            "validation": 7,
            "test": 16,
            "classes": 3,
            "districts": 2,
            "majority_share": 0.75,
            "vehicles": 3,
            "samples_min": 4,
            "samples_median": 6,
            "samples_max": 10,
            "classes_min": 1,
            "classes_median": 1,
            "classes_max": 2,
            "held_samples": 20,
            "held_majority_share": 0.65,
            "until_s": 90.0,
        }
    )


def test_a_task_without_data_has_counts_of_zero_and_knows_no_shares(run: Run) -> None:
    rows = data_statistics(run).query("task == 'lights'")
    assert rows[["train", "classes", "vehicles", "held_samples"]].to_numpy().tolist() == [[0, 0, 0, 0]]
    unknown = rows[["majority_share", "samples_median", "classes_max", "held_majority_share", "until_s"]]
    assert unknown.isna().to_numpy().all()
    assert always_majority(run, "lights") is None


def test_always_answering_the_most_frequent_class_has_the_accuracy_and_macro_f1_of_its_confusion_matrix(
    run: Run,
) -> None:
    """12 of 16 right. F1 of "stop": 2 * 12 / (2 * 12 + 4); of "go": 0."""
    assert always_majority(run, "signs") == pytest.approx((0.75, 24 / 28 / 2))


def test_classes_are_sorted_by_what_is_held_and_those_that_nobody_holds_are_there(run: Run) -> None:
    assert list(class_samples_held(run, "signs").items()) == [("stop", 13), ("go", 7), ("yield", 0)]
