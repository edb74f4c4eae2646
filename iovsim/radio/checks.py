"""Turns a parameter of a radio model into the same number, or into one clear error for the user."""

from __future__ import annotations

from iovsim.errors import ScenarioError


def number(owner: object, name: str, low: float, high: float, *, whole: bool = False) -> None:
    """Checks that field `name` of the model `owner` is a number in [`low`, `high`], whole if asked.

    Raises `ScenarioError` with the model, the field, its value and the allowed range.
    """
    value = getattr(owner, name)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high:
        return
    what = "a whole number" if whole else "a number"
    raise ScenarioError(
        f"{type(owner).__name__}: {name} = {value!r} is not allowed; it must be {what} from {low:g} to {high:g}."
    )


def choice(owner: object, name: str, allowed: tuple[str, ...]) -> None:
    """Checks that field `name` of `owner` is one of `allowed`. Raises `ScenarioError`."""
    value = getattr(owner, name)
    if value not in allowed:
        raise ScenarioError(
            f"{type(owner).__name__}: {name} = {value!r} is not allowed; it must be one of "
            f"{', '.join(repr(a) for a in allowed)}."
        )
