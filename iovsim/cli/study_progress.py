"""A study's runs become one line that tells how many are done, at what rate, and how much time is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from iovsim.progress import Report
from iovsim.studies.run import Tally

LINE_EVERY_S = 10.0
"""Where there is no terminal (a log, CI) lines come this often at most, beside the first and the last."""


@dataclass(slots=True)
class StudyLine:
    """What is known of a study at this moment."""

    begun_s: float = field(default_factory=time.monotonic)
    tally: Tally | None = None
    steps: dict[str, str] = field(default_factory=dict)  # of the runs at work, by label

    def text(self) -> str:
        """One line, and one more for each run that is at work."""
        if self.tally is None:
            return "looking at what is there"
        tally = self.tally
        done = tally.finished + len(tally.failed)
        parts = [f"{tally.kept + done} of {tally.total} runs"]
        if tally.kept:
            parts.append(f"{tally.kept} were there")
        if tally.failed:
            parts.append(f"{len(tally.failed)} failed")
        elapsed_s = time.monotonic() - self.begun_s
        if done and elapsed_s > 0:
            parts.append(f"{60 * done / elapsed_s:.3g} a minute")
            if tally.left:
                parts.append(f"about {duration(elapsed_s / done * tally.left)} left")
        return "\n".join([", ".join(parts), *(f"  {label}: {step}" for label, step in self.steps.items())])


@contextmanager
def study_line(console: Console) -> Iterator[tuple[StudyLine, Report]]:
    """A line that changes on a terminal, and lines now and then elsewhere; and what takes the runs' reports."""
    line = StudyLine()

    def report(label: str, step: str, done: float) -> None:
        line.steps[label] = f"{step} {done:.0%}"

    if console.is_terminal:
        with Live(get_renderable=lambda: Text(line.text()), console=console, refresh_per_second=4, transient=True):
            yield line, report
    else:
        yield line, report


def printed(console: Console, line: StudyLine, last_s: float) -> float:
    """Prints the line where there is no terminal, if the last time is long past; returns when it was printed last."""
    tally, now_s = line.tally, time.monotonic()
    if console.is_terminal or tally is None or (tally.left and now_s - last_s < LINE_EVERY_S):
        return last_s
    console.print(line.text().partition("\n")[0], highlight=False)
    return now_s


def duration(seconds: float) -> str:
    """Such as 45 s, 12 min, 3.4 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
