"""SUMO's FCD: the same samples from every form of it, and an error for each way to be wrong."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iovsim.errors import TraceError
from iovsim.mobility.importers import fcd as fcd_module
from iovsim.mobility.importers.fcd import geographic_plane, read_fcd
from iovsim.mobility.planes import net_plane, utm_plane
from iovsim.mobility.samples import Repairs
from tests.mobility.importers.tables import rows_of

HEADER = "timestep_time;vehicle_id;vehicle_x;vehicle_y;vehicle_speed;vehicle_angle"


def csv(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


def xml(path: Path, *steps: str) -> Path:
    path.write_text(f"<fcd-export>{''.join(steps)}</fcd-export>")
    return path


def step(time: object, *vehicles: tuple[str, object, object, object]) -> str:
    inner = "".join(f'<vehicle id="{v}" x="{x}" y="{y}" angle="90" speed="{s}"/>' for v, x, y, s in vehicles)
    return f'<timestep time="{time}">{inner}</timestep>'


@pytest.mark.parametrize("batch_rows", [1, 100, 65_536])
def test_every_form_gives_what_sumo_wrote(fcd: Path, batch_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcd_module, "BATCH_ROWS", batch_rows)
    table = pq.read_table(fcd / "fcd.parquet").to_pandas().dropna(subset=["vehicle_id"])
    table = table.sort_values(["timestep_time", "vehicle_id"])
    numbers = table[["vehicle_x", "vehicle_y", "vehicle_speed", "vehicle_angle"]].to_numpy()
    assert len(table) > 500
    for ending in ("xml", "xml.gz", "csv", "csv.gz", "parquet"):
        repairs = Repairs()
        rows = rows_of(read_fcd(fcd / f"fcd.{ending}", repairs))
        assert [row[:2] for row in rows] == list(zip(table["timestep_time"], table["vehicle_id"], strict=True))
        rounding = 0.0 if ending == "parquet" else 0.0051  # SUMO writes texts with two decimals
        np.testing.assert_allclose([row[2:] for row in rows], numbers, atol=rounding, rtol=0)
        assert not repairs.counts


def test_a_part(fcd: Path) -> None:
    rows = rows_of(read_fcd(fcd / "fcd.csv", Repairs(), begin_s=10, end_s=20))
    assert {row[0] for row in rows} == set(np.arange(10.0, 20.0))
    with pytest.raises(TraceError, match="holds no vehicle between begin and end"):
        rows_of(read_fcd(fcd / "fcd.csv", Repairs(), begin_s=1000))


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcd_module, "BATCH_ROWS", 500)
    peaks = []
    for steps in (200, 2000):
        crowd = [(f"v{number}", number, 0, 1) for number in range(20)]
        path = xml(tmp_path / f"{steps}.xml", *(step(time, *crowd) for time in range(steps)))
        tracemalloc.start()
        assert sum(len(batch) for batch in read_fcd(path, Repairs())) == 20 * steps
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2.0 * peaks[0]


def test_repairs_are_counted(tmp_path: Path) -> None:
    repairs = Repairs()
    path = csv(tmp_path / "f.csv", "0;a;0;0;10;90", "0;a;5;5;10;90", "0;b;nan;0;1;90", "1;;;;;", "2;a;20;0;10;90")
    assert rows_of(read_fcd(path, repairs)) == [(0, "a", 0, 0, 10, 90), (2, "a", 20, 0, 10, 90)]
    assert repairs.counts == {"duplicates": 1, "rows without position, speed or angle": 1}
    path = xml(tmp_path / "f.xml", step(0, ("a", 0, 0, 1)).replace("</", '<person id="p" x="1" y="1"/></'))
    repairs = Repairs()
    assert len(rows_of(read_fcd(path, repairs))) == 1
    assert repairs.counts == {"persons left out": 1}


def test_time_backwards_is_refused(tmp_path: Path) -> None:
    for path in (
        csv(tmp_path / "f.csv", "1;a;0;0;10;90", "0;a;5;5;10;90"),
        xml(tmp_path / "f.xml", step(1, ("a", 0, 0, 1)), step(0, ("a", 0, 0, 1))),
    ):
        with pytest.raises(TraceError, match="time runs backwards, from 1 s to 0 s"):
            list(read_fcd(path, Repairs()))


@pytest.mark.parametrize("ending", ["xml", "csv"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_cut_short(fcd: Path, tmp_path: Path, ending: str, share: float) -> None:
    packed = (fcd / f"fcd.{ending}.gz").read_bytes()
    (tmp_path / f"g.{ending}.gz").write_bytes(packed[: int(share * len(packed))])
    with pytest.raises(TraceError, match="cut short gzip"):
        list(read_fcd(tmp_path / f"g.{ending}.gz", Repairs()))
    plain = gzip.decompress(packed)
    (tmp_path / f"f.{ending}").write_bytes(plain[: plain.rindex(b"car", 0, int(share * len(plain)))])
    with pytest.raises(TraceError, match="broken XML" if ending == "xml" else "columns"):
        list(read_fcd(tmp_path / f"f.{ending}", Repairs()))


def test_parquet_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "f.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TraceError, match="damaged or cut short Parquet"):
        list(read_fcd(tmp_path / "f.parquet", Repairs()))
    pq.write_table(pa.table({"timestep_time": [0.0]}), tmp_path / "g.parquet")
    with pytest.raises(TraceError, match=r"vehicle_angle missing, found timestep_time; record FCD with"):
        list(read_fcd(tmp_path / "g.parquet", Repairs()))
    with pytest.raises(TraceError, match="no such file"):
        list(read_fcd(tmp_path / "gone.parquet", Repairs()))


def test_attributes_that_are_missing(tmp_path: Path) -> None:
    path = csv(tmp_path / "f.csv", "0;a", header="timestep_time;vehicle_id")
    with pytest.raises(TraceError, match=r"column\(s\) vehicle_x.* missing, found timestep_time, vehicle_id"):
        list(read_fcd(path, Repairs()))
    path = xml(tmp_path / "f.xml", step(0, ("a", 0, 0, 1)).replace('angle="90"', ""))
    with pytest.raises(TraceError, match="has no 'angle', only id, x, y, speed"):
        list(read_fcd(path, Repairs()))
    with pytest.raises(TraceError, match=r"time '0:01' is not seconds"):
        list(read_fcd(xml(tmp_path / "g.xml", step("0:01", ("a", 0, 0, 1))), Repairs()))
    (tmp_path / "h.xml").write_text("<net/>")
    with pytest.raises(TraceError, match="expected <fcd-export>, found <net>"):
        list(read_fcd(tmp_path / "h.xml", Repairs()))


def moving(scale: float, origin: tuple[float, float]) -> list[str]:
    return [step(t, ("a", origin[0] + scale * 10 * t, origin[1], 10)) for t in range(5)]


def test_degrees_are_laid_on_a_plane_and_metres_are_not_mistaken(tmp_path: Path) -> None:
    degrees = xml(tmp_path / "deg.xml", *moving(1e-5, (6.13, 49.6)))
    metres = xml(tmp_path / "met.xml", *moving(1.0, (100.0, 50.0)))
    far = xml(tmp_path / "far.xml", *moving(1.0, (5000.0, 5000.0)))
    with pytest.raises(TraceError, match=r"look like degrees where metres are expected.*--geographic"):
        list(read_fcd(degrees, Repairs()))
    with pytest.raises(TraceError, match="look like metres where degrees are expected"):
        list(read_fcd(metres, Repairs(), geographic=utm_plane(6, 49)))
    with pytest.raises(TraceError, match=r"\(5000, 5000\) is no longitude and latitude"):
        list(read_fcd(far, Repairs(), geographic=utm_plane(6, 49)))
    assert [row[2] for row in rows_of(read_fcd(metres, Repairs()))] == [100, 110, 120, 130, 140]
    plane = geographic_plane(degrees, None)
    assert "+zone=32" in str(plane)
    x = [row[2] for row in rows_of(read_fcd(degrees, Repairs(), geographic=plane))]
    np.testing.assert_allclose(np.diff(x), 1e-4 * 111_320 * np.cos(np.deg2rad(49.6)), rtol=0.005)


def test_a_nets_plane_is_that_of_sumo(shared: Path) -> None:
    """Corners of the Luxembourg district in degrees, as SUMO states them, lie where SUMO puts them."""
    import sumolib

    net = shared / "scenarios/lust_red_district/lust_red.net.xml"
    known = sumolib.net.readNet(str(net))
    lon, lat = np.array([6.10, 6.13, 6.12]), np.array([49.60, 49.61, 49.62])
    expected = np.array([known.convertLonLat2XY(*place) for place in zip(lon, lat, strict=True)])
    np.testing.assert_allclose(np.column_stack(net_plane(net).metres(lon, lat)), expected, atol=1e-6)


def test_a_net_without_projection(tmp_path: Path) -> None:
    net = Path(__file__).parents[3] / "sumo_maps/portside/portside.net.xml.gz"
    with pytest.raises(TraceError, match="a net without projection"):
        net_plane(net)
    (tmp_path / "a.xml").write_text("<routes/>")
    with pytest.raises(TraceError, match="not a SUMO road network"):
        net_plane(tmp_path / "a.xml")
