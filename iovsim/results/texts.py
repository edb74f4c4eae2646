"""Turns contrasts and standings into the cells that Markdown, LaTeX and the terminal share."""

from __future__ import annotations

from collections.abc import Sequence

from iovsim.results.contrasts import Contrast
from iovsim.results.intervals import bounds, interval, rounded
from iovsim.results.metrics import METRICS
from iovsim.results.pareto import OBJECTIVES, Standing

NONE = "–"

CONTRAST_HEADS = (
    "policy",
    "minus",
    "n",
    "difference ± 95 % t",
    "95 % bootstrap",
    "p, t",
    "Holm",
    "p, Wilcoxon",
    "Holm",
    "d_z",
    "g_z",
    "r",
    "seeds more",
)
FRONT_HEADS = (
    "policy",
    *(METRICS[name].heading for name in OBJECTIVES),
    "on the front, or beaten by",
    "share of resamples",
)
FRONT_TITLE = "Pareto front of accuracy, latency and energy"


def contrast_cells(found: Contrast) -> tuple[str, ...]:
    """One contrast, in the order of `CONTRAST_HEADS`; zeros that Wilcoxon's test left out in brackets."""
    n = found.difference.n if found.difference else 0
    zeros = f" ({found.zeros} of {n} zero)" if found.zeros and n > 1 else ""
    return (
        found.policy,
        found.against,
        str(n),
        rounded(found.difference, n, signed=True) if found.difference else NONE,
        NONE if found.bootstrap is None else bounds(*found.bootstrap),
        p_text(found.t_p),
        p_text(found.t_holm),
        p_text(found.wilcoxon_p) + zeros,
        p_text(found.wilcoxon_holm),
        *(NONE if value is None else f"{value:+.2f}" for value in (found.d_z, found.g_z, found.rank_biserial)),
        NONE if found.more is None else str(found.more),
    )


def front_cells(found: Standing) -> tuple[str, ...]:
    """One standing, in the order of `FRONT_HEADS`."""
    means = (interval(column.tolist()) for column in found.values.T)
    beaten = ", ".join(found.dominated_by) or "on the front"
    share = NONE if found.share is None else f"{100 * found.share:.0f} %"
    return (found.policy, *(rounded(mean, len(found.values)) for mean in means), beaten, share)


def front_note(standings: Sequence[Standing]) -> str:
    """What the table of the front means."""
    seeds = len(standings[0].values)
    shares = (
        "share: of resampled seeds in which it is on the front"
        if standings[0].share is not None
        else f"shares of resampled seeds need more seeds than {seeds}"
    )
    return (
        "On the front: no other policy is as good in accuracy, latency and energy of the task and better in one, by "
        f"means over {seeds} seed{'s' if seeds > 1 else ''}; otherwise by whom it is beaten; {shares}."
    )


def p_text(p: float | None) -> str:
    """Two significant digits: more would be read as more certainty than there is."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else "1" if p >= 0.995 else f"{p:.2g}"
