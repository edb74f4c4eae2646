"""Batches of samples become a trace on disk in our format, window by window: memory holds one window."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from iovsim.domain import FloatArray
from iovsim.errors import TraceError
from iovsim.files import whole_file
from iovsim.mobility.planes import Plane
from iovsim.mobility.samples import Samples
from iovsim.mobility.trace.block import Codes, TraceBlock, by_vehicle, joined
from iovsim.mobility.trace.format import ENCODING, KEY, NUMBERS, SCHEMA, VERSION, WINDOW_ROWS, WINDOW_S, Note, part_name

LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Covered:
    """What a source knows besides its samples; NaN: the time of the first or last sample, or of both."""

    begin_s: float = math.nan
    end_s: float = math.nan
    counts: Mapping[str, int] = field(default_factory=dict)
    plane: Plane | None = None


def write_trace(
    path: Path | str,
    samples: Iterable[Samples],
    *,
    source: str,
    net: bool = True,
    step_s: float | None = None,
    window_s: float = WINDOW_S,
    covered: Callable[[], Covered] | None = None,
) -> None:
    """Writes `samples` as a folder of parts, or as one file where `path` ends in `.parquet`.

    `source` says who made it; `net` whether coordinates are those of a SUMO net; `step_s` is the spacing of times
    (None: the largest of which all differences are multiples). `covered` is asked at the end of each part.

    A file appears whole or not at all. A folder gets a part a window; whatever `samples` raises ends it after the last
    window that is whole, and goes on to the caller: what is there stays a trace that calls itself unfinished.

    Raises `TraceError` for a folder that is not empty, no samples at all, times that run backwards or lie off the step,
    two samples of a vehicle at one time, and what is not a number or not within 21,474 km of the origin.
    """
    path = Path(path)
    maker = _Maker(path, source, net, step_s, window_s, covered)
    tables = maker.tables(samples)
    if path.suffix == ".parquet":
        with whole_file(path) as file, _writer(file) as out:
            for window in tables:
                out.write_table(window)
            out.add_key_value_metadata(maker.note(0, maker.last_ms, complete=True))
        return
    if path.is_dir() and any(path.iterdir()):
        raise TraceError(f"{path}: this folder is not empty; a trace needs one of its own. Name another.")
    failure: BaseException | None = None
    table: pa.Table | None = next(tables)
    part = 0
    while table is not None:
        with whole_file(path / part_name(part)) as file, _writer(file) as out:
            out.write_table(table)
            end_ms = pc.max(table["time_ms"]).as_py()
            try:
                table = next(tables, None)
            except BaseException as error:
                failure, table = error, None
            out.add_key_value_metadata(maker.note(part, end_ms, complete=table is None and failure is None))
        part += 1
    if failure is not None:
        raise failure


def _writer(file: Path) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file, SCHEMA, compression="zstd", use_dictionary=["vehicle"], column_encoding=ENCODING, store_schema=True
    )


class _Maker:
    """Turns batches into tables of one window each, and keeps count of what the notes must say."""

    def __init__(
        self,
        path: Path,
        source: str,
        net: bool,
        step_s: float | None,
        window_s: float,
        covered: Callable[[], Covered] | None,
    ) -> None:
        self.path, self.source, self.net, self.covered = path, source, net, covered
        self.window_ms = round(window_s * 1000)
        self.fixed_ms = None if step_s is None else round(step_s * 1000)
        self.step_ms = self.fixed_ms or 0
        self.begin_ms = self.last_ms = 0  # of the samples so far
        if self.window_ms < 1 or (self.fixed_ms is not None and self.fixed_ms < 1):
            raise ValueError(f"window_s and step_s must be at least 1 ms, got {window_s} and {step_s}")

    def note(self, part: int, end_ms: int, *, complete: bool) -> dict[bytes, bytes]:
        """The metadata of a part whose last sample is at `end_ms`."""
        covered = self.covered() if self.covered is not None else Covered()
        begin_ms = self.begin_ms if math.isnan(covered.begin_s) else round(covered.begin_s * 1000)
        if complete and not math.isnan(covered.end_s):
            end_ms = max(end_ms, round(covered.end_s * 1000))
        note = Note(
            version=VERSION,
            part=part,
            complete=complete,
            begin_ms=min(begin_ms, self.begin_ms),
            end_ms=end_ms,
            step_ms=self.step_ms,
            window_ms=self.window_ms,
            source=self.source,
            net=self.net,
            counts=dict(covered.counts),
            plane=covered.plane,
        )
        return {KEY: note.packed()}

    def tables(self, samples: Iterable[Samples]) -> Iterator[pa.Table]:
        codes, waiting, until_ms = Codes(), list[TraceBlock](), 0
        begun = False
        for batch in samples:
            block, time_ms = self._block(batch, codes)
            if len(block) == 0:
                continue
            if not begun:
                begun, self.begin_ms, self.last_ms = True, int(time_ms[0]), int(time_ms[0])
                until_ms = self._until_ms(self.begin_ms)
            self._check_times(time_ms)
            while time_ms[-1] >= until_ms:
                cut = int(np.searchsorted(time_ms, until_ms))
                waiting.append(block.take(slice(0, cut)))
                yield from self._table(waiting)
                codes, waiting = Codes(), []  # names of a window, so that memory stays flat over days
                block, time_ms = self._block(batch, codes, len(batch) - len(time_ms) + cut)
                until_ms = self._until_ms(int(time_ms[0]))
            waiting.append(block)
            self.last_ms = int(time_ms[-1])
            if sum(len(part) for part in waiting) >= WINDOW_ROWS:
                yield from self._table(waiting)
                codes, waiting = Codes(), []
        if not begun:
            raise TraceError(f"{self.path}: there is no vehicle at any time to write; check the source.")
        yield from self._table(waiting)

    def _until_ms(self, time_ms: int) -> int:
        """The end of the window that holds `time_ms`; windows begin at the first sample."""
        return self.begin_ms + ((time_ms - self.begin_ms) // self.window_ms + 1) * self.window_ms

    def _block(self, batch: Samples, codes: Codes, start: int = 0) -> tuple[TraceBlock, NDArray[np.int64]]:
        """The samples from `start` on, in the units of the format; and their times as integers."""
        time_ms = self._integers("time_s", batch.time_s[start:], 1000.0, np.int64)
        block = TraceBlock(
            time_s=time_ms / 1000.0,
            vehicle=codes.of(batch.vehicle[start:] if start else batch.vehicle),
            names=codes.names,
            x_m=batch.x_m[start:],
            y_m=batch.y_m[start:],
            speed_mps=batch.speed_mps[start:],
            angle_deg=batch.angle_deg[start:],
        )
        return block, time_ms

    def _check_times(self, time_ms: NDArray[np.int64]) -> None:
        gaps = np.unique(np.diff(time_ms, prepend=self.last_ms))
        if gaps[0] < 0:
            raise TraceError(
                f"{self.path}: the time of the samples runs backwards, by {-gaps[0] / 1000:g} s, between "
                f"{self.last_ms / 1000:g} s and {time_ms[-1] / 1000:g} s; sort them by time."
            )
        if self.fixed_ms is None:
            self.step_ms = math.gcd(self.step_ms, *gaps.tolist())
        elif (gaps % self.fixed_ms).any():
            raise TraceError(
                f"{self.path}: samples lie {gaps[gaps % self.fixed_ms > 0][0] / 1000:g} s apart, which is no multiple "
                f"of the step of {self.fixed_ms / 1000:g} s; resample them."
            )

    def _table(self, blocks: list[TraceBlock]) -> Iterator[pa.Table]:
        """The window of the joined blocks, sorted; nothing where they are empty."""
        blocks = [block for block in blocks if len(block)]
        if not blocks:
            return
        block = by_vehicle(joined(blocks), self.path, None)
        starts = np.flatnonzero(np.diff(block.vehicle, prepend=-1))
        runs = np.diff(starts, append=len(block))
        names = pa.array([block.names[code] for code in block.vehicle[starts].tolist()], pa.string())
        local = pa.array(np.repeat(np.arange(len(starts), dtype=np.int32), runs))
        columns = zip(NUMBERS, (block.x_m, block.y_m, block.speed_mps, block.angle_deg), strict=True)
        yield pa.Table.from_arrays(
            [
                pa.array(np.rint(block.time_s * 1000.0).astype(np.int64)),
                pa.DictionaryArray.from_arrays(local, names),
                *(pa.array(self._integers(name, values, 100.0, np.int32)) for name, values in columns),
            ],
            schema=SCHEMA,
        )

    def _integers(self, name: str, values: FloatArray, factor: float, kind: type) -> NDArray[np.int64]:
        scaled = np.rint(np.asarray(values, dtype=np.float64) * factor)
        if not np.isfinite(scaled).all():
            raise TraceError(f"{self.path}: {name} of a sample is not a number; the source must leave it out.")
        if kind is np.int32 and len(scaled) and np.abs(scaled).max() > LARGEST:
            raise TraceError(
                f"{self.path}: {name} of a sample is {np.abs(scaled).max() / factor:g} in metres and seconds, beyond "
                f"what a trace holds ({LARGEST / factor:g}); are the coordinates metres?"
            )
        return scaled.astype(kind)
