"""Recording with SUMO: repeatable, never in the user's folder, and a clear error for each way to go wrong."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from iovsim.errors import TraceError
from iovsim.mobility.sumo import inputs, record
from iovsim.mobility.trace import Trace

ROOT = Path(__file__).parents[2]
PORTSIDE = ROOT / "sumo_maps" / "portside" / "portside.sumocfg"
BOLOGNA = ROOT / "../shared/scenarios/bologna_joined/run.sumocfg"
LUST_RED = ROOT / "../shared/scenarios/lust_red_district/lust_red.sumocfg"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def config(folder: Path, more: str = "", routes: str = "portside.rou.xml.gz", name: str = "own.sumocfg") -> Path:
    """A configuration of the user's own beside copies of Portside's files."""
    folder.mkdir(exist_ok=True)
    for file in ("portside.net.xml.gz", "portside.rou.xml.gz"):
        if not (folder / file).exists():
            shutil.copy(PORTSIDE.parent / file, folder / file)
    (folder / name).write_text(
        f'<configuration><input><net-file value="portside.net.xml.gz"/><route-files value="{routes}"/></input>'
        f'<time><begin value="0"/><end value="30"/></time>{more}</configuration>'
    )
    return folder / name


def test_inputs_of_portside() -> None:
    found = inputs(PORTSIDE)
    assert found.net.name == "portside.net.xml.gz"
    assert [path.name for path in found.routes] == ["portside.rou.xml.gz"]
    assert [path.name for path in found.additional] == ["portside.poly.xml.gz"]
    assert all(path.is_absolute() for path in (found.net, *found.routes, *found.additional))


def test_two_recordings_have_the_same_bytes(tmp_path: Path) -> None:
    one = record(PORTSIDE, seed=5, end_s=90, cache=tmp_path / "one")
    two = record(PORTSIDE, seed=5, end_s=90, cache=tmp_path / "two")
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()
    assert contents(tmp_path / "one").keys() == {f"traces/{one.name}"}
    trace = Trace(one)
    assert (trace.begin_s, trace.end_s, trace.step_s) == (0.0, 89.0, 1.0)
    other = record(PORTSIDE, seed=6, end_s=90, cache=tmp_path / "one")
    assert other.name != one.name
    assert other.read_bytes() != one.read_bytes()


def test_times_and_steps_can_be_set(tmp_path: Path) -> None:
    trace = Trace(record(PORTSIDE, seed=1, begin_s=10, end_s=25, step_s=0.5, cache=tmp_path))
    assert (trace.begin_s, trace.end_s, trace.step_s) == (10.0, 24.5, 0.5)


def test_a_recorded_trace_is_not_recorded_again(tmp_path: Path) -> None:
    path = record(config(tmp_path / "map"), seed=1, cache=tmp_path)
    written = path.stat().st_mtime_ns
    assert record(tmp_path / "map" / "own.sumocfg", seed=1, cache=tmp_path) == path
    shutil.copytree(tmp_path / "map", tmp_path / "elsewhere")
    assert record(tmp_path / "elsewhere" / "own.sumocfg", seed=1, cache=tmp_path) == path
    assert path.stat().st_mtime_ns == written


def test_a_changed_input_is_recorded_again(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", routes="list.rou.xml")
    routes = gzip.decompress((PORTSIDE.parent / "portside.rou.xml.gz").read_bytes()).decode()
    (tmp_path / "map" / "list.rou.xml").write_text('<routes><include href="real.rou.xml"/></routes>')
    (tmp_path / "map" / "real.rou.xml").write_text(routes)
    first = record(sumocfg, seed=1, cache=tmp_path)
    (tmp_path / "map" / "real.rou.xml").write_text(routes.replace('sigma="0.5"', 'sigma="0.1"'))
    assert record(sumocfg, seed=1, cache=tmp_path) != first


def test_a_damaged_recording_is_replaced(tmp_path: Path) -> None:
    path = record(config(tmp_path / "map"), seed=1, cache=tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    assert record(tmp_path / "map" / "own.sumocfg", seed=1, cache=tmp_path) == path
    assert path.read_bytes() == whole


def test_outputs_of_the_users_own_are_redirected(tmp_path: Path) -> None:
    """Outputs of the configuration, its logs, and detectors in an additional file: none in the user's folder."""
    folder = tmp_path / "map"
    net_lane = "c2r2_c3r2_0"
    folder.mkdir()
    (folder / "detectors.add.xml").write_text(
        f'<additional><inductionLoop id="d" lane="{net_lane}" pos="10" period="10" file="loops.xml"/>'
        f'<edgeData id="e" file="{folder / "edges.xml"}"/></additional>'
    )
    sumocfg = config(
        folder,
        '<output><tripinfo-output value="trips.xml"/><fcd-output value="fcd.xml"/><fcd-output.geo value="true"/>'
        '<output-prefix value="mine_"/><human-readable-time value="true"/><save-state.times value="5"/></output>'
        '<report><log value="log.txt"/><error-log value="errors.txt"/></report>'
        '<ssm_device><device.ssm.probability value="1"/><device.ssm.file value="ssm.xml"/></ssm_device>',
    )
    sumocfg.write_text(
        sumocfg.read_text().replace("<route-files", '<additional-files value="detectors.add.xml"/><route-files')
    )
    before = contents(folder)
    path = record(sumocfg, seed=1, cache=tmp_path / "cache")
    assert contents(folder) == before
    assert contents(tmp_path / "cache").keys() == {f"traces/{path.name}"}
    assert Trace(path).rows > 100


def test_an_open_traci_port_does_not_make_sumo_wait(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", '<traci_server><remote-port value="39871"/></traci_server>')
    assert Trace(record(sumocfg, seed=1, cache=tmp_path)).rows > 100


def test_pedestrians_are_left_out(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", routes="portside.rou.xml.gz,walk.rou.xml")
    (tmp_path / "map" / "walk.rou.xml").write_text(
        '<routes><person id="p" depart="15"><walk edges="c2r2_c3r2 c3r2_c4r2"/></person></routes>'
    )
    names = {name for window in Trace(record(sumocfg, seed=1, cache=tmp_path)).windows() for name in window.names}
    assert len(names) > 20
    assert "p" not in names


def test_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    record(PORTSIDE, seed=1, end_s=120, cache=tmp_path, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupt_leaves_no_process_and_no_file(
    tmp_path: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))
        return started[-1]

    def stop(fraction: float) -> None:
        assert started[-1].poll() is None
        raise error("enough")

    sumocfg = config(tmp_path / "map", name="long.sumocfg")
    monkeypatch.setattr("iovsim.mobility.sumo.subprocess.Popen", start)
    with pytest.raises(error, match="enough"):
        record(sumocfg, seed=1, end_s=1800, cache=tmp_path / "cache", progress=stop)
    assert started[-1].returncode not in (None, 0)
    assert list((tmp_path / "cache" / "traces").iterdir()) == []


def test_missing_configuration(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"gone\.sumocfg: no such SUMO configuration"):
        record(tmp_path / "gone.sumocfg", seed=1, cache=tmp_path)


def test_broken_configuration(tmp_path: Path) -> None:
    sumocfg = tmp_path / "bad.sumocfg"
    sumocfg.write_text('<configuration>\n<input>\n<net-file value="x.net.xml">\n</input></configuration>')
    with pytest.raises(TraceError, match=r"bad\.sumocfg, line 4, column 3: broken XML"):
        record(sumocfg, seed=1, cache=tmp_path)


def test_unknown_option(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", '<input><net-fil value="x"/></input>')
    with pytest.raises(TraceError, match="SUMO refuses the configuration: No option with the name 'net-fil' exists"):
        record(sumocfg, seed=1, cache=tmp_path)


def test_no_net(tmp_path: Path) -> None:
    sumocfg = tmp_path / "bad.sumocfg"
    sumocfg.write_text("<configuration><time><end value='9'/></time></configuration>")
    with pytest.raises(TraceError, match="names no road network"):
        record(sumocfg, seed=1, cache=tmp_path)


def test_missing_input(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", routes="gone.rou.xml")
    with pytest.raises(TraceError, match=r"names .*gone\.rou\.xml, which does not exist"):
        record(sumocfg, seed=1, cache=tmp_path)


@pytest.mark.parametrize("value", ["true", "1", "x"])
def test_random_is_refused(tmp_path: Path, value: str) -> None:
    sumocfg = config(tmp_path / "map", f'<random_number><random value="{value}"/></random_number>')
    with pytest.raises(TraceError, match="SUMO ignores every seed"):
        record(sumocfg, seed=1, cache=tmp_path)


def test_broken_routes_are_told_in_sumos_words(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", routes="bad.rou.xml")
    (tmp_path / "map" / "bad.rou.xml").write_text(
        '<routes><vehicle id="v" depart="0"><route edges="c2r2_c3r2 nowhere"/></vehicle></routes>'
    )
    with pytest.raises(TraceError, match=r"SUMO stopped with exit code 1: .*nowhere"):
        record(sumocfg, seed=1, cache=tmp_path / "cache")
    assert contents(tmp_path / "cache") == {}


def test_an_end_before_the_begin_is_told_in_sumos_words(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"exit code 1: The end time should be after the begin time\.$"):
        record(PORTSIDE, seed=1, begin_s=50, end_s=20, cache=tmp_path)


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seed_that_sumo_does_not_take(tmp_path: Path, seed: int) -> None:
    with pytest.raises(TraceError, match=f"seed {seed} is not one that SUMO takes; it must be in 0 to 2147483647"):
        record(PORTSIDE, seed=seed, cache=tmp_path)


def test_damaged_gzip(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map")
    net = tmp_path / "map" / "portside.net.xml.gz"
    net.write_bytes(net.read_bytes()[:5000])
    with pytest.raises(TraceError, match=r"portside\.net\.xml\.gz: damaged gzip file"):
        record(sumocfg, seed=1, cache=tmp_path)


def test_no_vehicles(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", routes="none.rou.xml")
    (tmp_path / "map" / "none.rou.xml").write_text("<routes/>")
    with pytest.raises(TraceError, match="no vehicle ever drove"):
        record(sumocfg, seed=1, cache=tmp_path / "cache")
    assert contents(tmp_path / "cache") == {}


def test_cache_path_that_sumo_would_change(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="SUMO replaces 'TIME'"):
        record(PORTSIDE, seed=1, end_s=5, cache=tmp_path / "TIMES")


@pytest.mark.skipif(not BOLOGNA.is_file(), reason="the Bologna scenario is not beside this checkout")
def test_bologna(tmp_path: Path) -> None:
    """Its configuration writes trip infos, a log and detector output beside itself."""
    before = sorted(path.name for path in BOLOGNA.parent.iterdir())
    trace = Trace(record(BOLOGNA, seed=1, end_s=40, cache=tmp_path))
    assert sorted(path.name for path in BOLOGNA.parent.iterdir()) == before
    assert trace.summary().peak_vehicles > 50


@pytest.mark.skipif(not LUST_RED.is_file(), reason="the Luxembourg district is not beside this checkout")
def test_luxembourg_district(tmp_path: Path) -> None:
    trace = Trace(record(LUST_RED, seed=1, end_s=25300, cache=tmp_path))
    assert (trace.begin_s, trace.end_s) == (25200.0, 25299.0)
    assert trace.summary().vehicles == 5
