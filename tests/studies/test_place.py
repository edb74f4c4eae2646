"""A finished run appears whole in a folder, and behind a URL with its manifest last."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from iovsim.errors import ResultsError
from iovsim.studies.parcel import Parcel, packed_whole
from iovsim.studies.place import check_place, put, reached_from_everywhere, url_of

FILES = {"manifest.json": b"{}", "tables/jobs.parquet": b"jobs", "adapters/signs/final/a.safetensors": b"weights"}


def run_of(folder: Path, files: dict[str, bytes]) -> Parcel:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return packed_whole(folder)


@pytest.mark.parametrize(
    ("out", "url"),
    [
        ("s3://bucket/runs/a", "s3://bucket/runs/a"),
        ("file:///shared/runs", "file:///shared/runs"),
        ("memory://runs", "memory://runs"),
        ("/shared/runs", None),
        ("runs/a:/b", None),
        ("unheard://of", None),
    ],
)
def test_a_url_is_known_by_its_protocol(out: str, url: str | None) -> None:
    assert url_of(Path(out)) == url
    assert reached_from_everywhere(Path(out)) == (url is not None and not out.startswith("memory"))


def test_what_is_no_part_of_a_run_stays_in_its_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(run_of(tmp_path / "old", FILES | {"adapters/signs/merge-0001/a.safetensors": b"old"}), out)
    (out / "notes").mkdir()
    (out / "notes" / "mine.txt").write_text("mine")
    put(run_of(tmp_path / "new", FILES), out)
    found = {file.relative_to(out).as_posix(): file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert found == FILES | {"notes/mine.txt": b"mine"}
    assert {entry.name for entry in tmp_path.iterdir()} == {"old", "new", "out"}


def test_behind_a_url_the_old_run_goes_first_and_the_manifest_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path("memory://place/run")
    files = fsspec.filesystem("memory")
    put(run_of(tmp_path / "old", FILES | {"tables/old.parquet": b"old"}), out)
    wrote: list[str] = []
    write = files.pipe_file

    def note(self: object, path: str, content: bytes) -> None:
        wrote.append(path)
        write(path, content)

    monkeypatch.setattr(type(files), "pipe_file", note)
    put(run_of(tmp_path / "new", FILES), out)
    assert sorted(files.find("/place/run")) == sorted(f"/place/run/{name}" for name in FILES)
    assert wrote[-1] == "/place/run/manifest.json"
    assert files.cat("/place/run/tables/jobs.parquet") == b"jobs"


def test_a_run_that_was_cut_short_behind_a_url_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Path("memory://place/cut")
    files = fsspec.filesystem("memory")
    run = run_of(tmp_path / "run", FILES)
    put(run, out)

    def fail(self: object, path: str, content: bytes) -> None:
        raise RuntimeError("quota exceeded")

    monkeypatch.setattr(type(files), "pipe_file", fail)
    with pytest.raises(ResultsError, match=r"memory://place/cut: cannot be written \(RuntimeError: quota exceeded\)"):
        put(run, out)
    assert not files.exists("/place/cut/manifest.json")


def test_a_protocol_that_cannot_be_written_is_told_before_anything_is_run() -> None:
    check_place(Path("memory://anywhere"))
    with pytest.raises(ResultsError, match=r"gs://bucket/run: cannot be reached .*gcsfs.*install what it needs"):
        check_place(Path("gs://bucket/run"))
