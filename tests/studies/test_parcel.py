"""What is packed comes out the same, whole or not at all, and a damaged parcel is told as such."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iovsim.errors import ResultsError
from iovsim.studies.parcel import Parcel, files_in, packed, packed_whole, settle, unpack

NAMES = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}x){0,2}", fullmatch=True)


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files_in(folder)}


FILES = st.dictionaries(NAMES.map(lambda name: f"{name}.bin"), st.binary(max_size=40), min_size=1)


@given(files=FILES, most_bytes=st.integers(1, 60))
def test_a_folder_comes_out_the_same_in_parcels_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], most_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    write(folder / "from", files)
    parcels = list(packed(folder / "from", files_in(folder / "from"), most_bytes))
    settle(parcels, folder / "to")
    assert read(folder / "to") == files
    assert all(len(p.names) == 1 or len(p.content) <= most_bytes for p in parcels)


def test_a_lone_file_comes_out_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "one.npz").write_bytes(b"content")
    assert settle([packed_whole(tmp_path / "one.npz")], tmp_path / "new" / "two.npz").read_bytes() == b"content"


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: replace(p, content=np.array([*p.content[:-1], p.content[-1] ^ 1], dtype=np.uint8)),
        lambda p: replace(p, names=("another",)),
        lambda p: replace(p, sizes_bytes=(1,)),
    ],
)
def test_a_damaged_parcel_leaves_nothing(tmp_path: Path, damage: object) -> None:
    write(tmp_path / "from", {"a": b"1234"})
    damaged = damage(packed_whole(tmp_path / "from"))  # type: ignore[operator]
    with pytest.raises(ResultsError, match="damaged on the way between two nodes"):
        settle([damaged], tmp_path / "new" / "to")
    assert not any((tmp_path / "new").iterdir())


def test_what_is_there_is_not_asked_for_again(tmp_path: Path) -> None:
    def never() -> Iterator[Parcel]:
        raise AssertionError("nothing is to be fetched")
        yield

    (tmp_path / "here").write_text("old")
    assert settle(never(), tmp_path / "here").read_text() == "old"


def test_an_unpacked_parcel_replaces_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "from", {"a/b": b"1"})
    write(tmp_path / "to", {"c": b"2"})
    unpack(packed_whole(tmp_path / "from"), tmp_path / "to")
    assert read(tmp_path / "to") == {"a/b": b"1", "c": b"2"}
