"""An error says where it arose, once."""

from __future__ import annotations

import pytest

from iovsim.errors import ResultsError, TrainingError, located


def test_an_error_is_told_its_place_once_and_keeps_its_kind() -> None:
    with (
        pytest.raises(TrainingError, match=r"^a\.toml: task 'x': no data\.$") as caught,
        located("a.toml"),
        located("a.toml: task 'x'"),
    ):
        raise TrainingError("no data.")
    assert isinstance(caught.value.__cause__, TrainingError)
    with pytest.raises(ResultsError, match=r"^a\.toml: broken\.$"), located("a.toml"):
        raise ResultsError("a.toml: broken.")
    with pytest.raises(ValueError, match=r"^a fault of the program$"), located("a.toml"):
        raise ValueError("a fault of the program")
