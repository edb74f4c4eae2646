"""A text of seeds becomes their numbers."""

from __future__ import annotations

import re

from iovsim.errors import ScenarioError

MAX_SEED = 2**31 - 1
"""The largest seed that SUMO takes."""

MAX_SEEDS = 10_000


def parse_seeds(text: str, where: str = "--seeds") -> list[int]:
    """`1,3-5` as [1, 3, 4, 5]. Raises `ScenarioError`; `where` names the text in it."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise ScenarioError(f"{where} {text!r}: cannot read {part!r}; write for example 1, or 1,2,5, or 1-5.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last > MAX_SEED or last - first >= MAX_SEEDS:
            raise ScenarioError(
                f"{where} {text!r}: {part!r} asks for too much; seeds are at most {MAX_SEED}, {MAX_SEEDS} a range."
            )
        if last < first:
            raise ScenarioError(f"{where} {text!r}: the range {part!r} runs backwards; write the smaller seed first.")
        seeds.extend(range(first, last + 1))
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1}) if len(set(seeds)) < len(seeds) else []
    if twice:
        raise ScenarioError(f"{where} {text!r}: {twice[0]} is there twice; give each seed once.")
    return seeds
