"""A run folder tells the truth about its run, and every way in which it can be wrong is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iovsim.errors import ResultsError
from iovsim.results import Manifest, RunFolder, RunStatus, find_runs, open_run, read_manifest
from iovsim.results.recorder import table_path

Rows = dict[str, dict[str, Any]]


@pytest.fixture
def finished(tmp_path: Path, manifest: Manifest, row_of: Rows) -> Path:
    with RunFolder.create(tmp_path / "run", manifest) as folder:
        folder.recorder.add("rsus", **row_of["rsus"])
        folder.adapter_path("signs", "global").mkdir(parents=True)
    return tmp_path / "run"


def test_a_finished_run_opens_with_its_tables_and_manifest(finished: Path, manifest: Manifest, row_of: Rows) -> None:
    run = open_run(finished)
    assert run.table("rsus").to_dict("records") == [row_of["rsus"]]
    assert run.table("jobs").empty
    assert run.adapters() == {"signs": {"global": finished / "adapters/signs/global"}}
    assert run.manifest.status is RunStatus.COMPLETE
    assert run.manifest.wall_s is not None
    assert run.manifest.wall_s >= 0
    assert (run.manifest.policy, run.manifest.charge_as) == (manifest.policy, manifest.charge_as)
    assert run.manifest.versions["python"].startswith("3.")
    assert run.label == "grid · greedy · seed 7"


def test_equal_runs_have_equal_fingerprints(finished: Path, tmp_path: Path, manifest: Manifest, row_of: Rows) -> None:
    with RunFolder.create(tmp_path / "again", manifest) as folder:
        folder.recorder.add("rsus", **row_of["rsus"])
    with RunFolder.create(tmp_path / "other", manifest) as folder:
        folder.recorder.add("rsus", **row_of["rsus"] | {"x_m": 0.5})
    first, again, other = (open_run(p).fingerprint() for p in (finished, tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert {name for name in first if first[name] != other[name]} == {"rsus"}


def test_the_manifest_survives_the_round_trip(manifest: Manifest) -> None:
    assert Manifest.from_json(json.loads(manifest.to_json())) == manifest


def test_a_failed_run_keeps_its_message_and_no_tables(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(RuntimeError, match="broken"), RunFolder.create(tmp_path, manifest):
        raise RuntimeError("broken")
    kept = read_manifest(tmp_path)
    assert (kept.status, kept.error) == (RunStatus.FAILED, "broken")
    assert list((tmp_path / "tables").iterdir()) == []
    with pytest.raises(ResultsError, match=r"unfinished run: status failed \(broken\)"):
        open_run(tmp_path)


def test_an_interrupted_and_a_killed_run_are_not_opened(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(KeyboardInterrupt, match="stop"), RunFolder.create(tmp_path / "a", manifest):
        raise KeyboardInterrupt("stop")
    with pytest.raises(ResultsError, match="unfinished run: status interrupted"):
        open_run(tmp_path / "a")
    RunFolder.create(tmp_path / "b", manifest).recorder.discard()
    with pytest.raises(ResultsError, match="unfinished run: status running"):
        open_run(tmp_path / "b")


def test_only_a_run_is_overwritten_and_only_on_demand(finished: Path, tmp_path: Path, manifest: Manifest) -> None:
    (finished / "notes.txt").write_text("mine")
    with pytest.raises(ResultsError, match=r"already holds a run \(status: complete\)"):
        RunFolder.create(finished, manifest)
    with RunFolder.create(finished, replace(manifest, seed=8), overwrite=True):
        assert not (finished / "adapters").exists()
    assert open_run(finished).manifest.seed == 8
    assert open_run(finished).table("rsus").empty
    assert (finished / "notes.txt").read_text() == "mine"

    old = json.loads((finished / "manifest.json").read_text()) | {"format": 1}
    (finished / "manifest.json").write_text(json.dumps(old))
    with RunFolder.create(finished, manifest, overwrite=True):
        pass  # a run of an older format may be replaced too
    assert open_run(finished).manifest.seed == manifest.seed

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(ResultsError, match="holds files but no run"):
        RunFolder.create(foreign, manifest, overwrite=True)
    (foreign / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(ResultsError, match=r"holds files that are no run .*not a manifest"):
        RunFolder.create(foreign, manifest, overwrite=True)
    (foreign / "manifest.json").write_text('{"name": "a web page", "format": 3}')
    with pytest.raises(
        ResultsError, match=r"manifest\.json that is not the manifest of a run; choose an empty or new folder"
    ):
        RunFolder.create(foreign, manifest, overwrite=True)
    assert sorted(p.name for p in foreign.iterdir()) == ["manifest.json", "thesis.tex"]
    with pytest.raises(ResultsError, match="is a file"):
        RunFolder.create(foreign / "thesis.tex", manifest)


def test_an_unwritable_place_is_named(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="file/run: cannot create the run folder: Not a directory"):
        RunFolder.create(tmp_path / "file" / "run", manifest)


def test_a_scenario_that_is_no_json_is_a_program_fault(tmp_path: Path, manifest: Manifest) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        RunFolder.create(tmp_path / "run", replace(manifest, scenario={"path": Path("x")}))
    assert not (tmp_path / "run").exists()


def test_missing_cut_and_altered_tables_are_named(finished: Path) -> None:
    path = table_path(finished, "rsus")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(ResultsError, match=r"rsus\.parquet: cut or altered .*; restore the file or run again"):
        open_run(finished).table("rsus")
    path.write_bytes(whole[:10] + b"\x00" + whole[11:])
    with pytest.raises(ResultsError, match=r"rsus\.parquet: cut or altered"):
        open_run(finished).table("rsus")
    path.unlink()
    with pytest.raises(ResultsError, match=r"rsus\.parquet: table is missing; restore the file or run again"):
        open_run(finished).table("rsus")
    with pytest.raises(ResultsError, match="table 'rsu': no such table; did you mean 'rsus'"):
        open_run(finished).table("rsu")


def test_a_table_of_other_columns_is_refused_even_if_the_manifest_vouches_for_it(finished: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    manifest["tables"]["rsus"] = manifest["tables"]["jobs"]
    (finished / "manifest.json").write_text(json.dumps(manifest))
    table_path(finished, "rsus").write_bytes(table_path(finished, "jobs").read_bytes())
    with pytest.raises(ResultsError, match=r"rsus\.parquet: columns \['job', .*, declared are \['rsu', "):
        open_run(finished).table("rsus")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"manifest\.json: not valid JSON"),
        ("[]", "not a manifest"),
        ('{"format": 99}', "format version 99, this iovsim reads 3"),
        ('{"format": 3}', "damaged manifest"),
    ],
)
def test_damaged_manifests_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ResultsError, match=message):
        open_run(tmp_path)


def test_find_runs_walks_folders_once_each_and_sorts(tmp_path: Path, manifest: Manifest) -> None:
    for name in ("b", "a/deep"):
        with RunFolder.create(tmp_path / name, manifest):
            pass
    assert [r.path for r in find_runs([tmp_path / "b", tmp_path])] == [tmp_path / "a/deep", tmp_path / "b"]
    with pytest.raises(ResultsError, match="nowhere: no such folder"):
        find_runs([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ResultsError, match="empty: no run in it or below"):
        find_runs([tmp_path / "empty"])
    with pytest.raises(ResultsError, match="not a run folder"):
        open_run(tmp_path / "empty")
