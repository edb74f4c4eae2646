"""What all tests share: a cache of recorded traffic for the whole session, and where the shared real data lie."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1].parent / "shared"


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded traffic and drawn signs, made once for all tests of a process."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"real data are not at hand: no folder {SHARED.name!r} beside the checkout")
    return SHARED
