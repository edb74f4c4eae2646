"""Recording with SUMO: repeatable, never in the user's folder, and a clear error for each way to go wrong."""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sumolib

from iovsim.errors import TraceError
from iovsim.mobility.sumo import inputs, record, record_into
from iovsim.mobility.sumo_config import sumo_command, sumo_environment
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


def sumos_own(sumocfg: Path, out: Path, *options: str) -> list[tuple[int, str, list[int]]]:
    """What SUMO itself says of the vehicles at each step, as XML with two decimals: x, y, speed, angle."""
    command = [*sumo_command(), "-c", str(sumocfg), "--no-step-log", "true", "--fcd-output", str(out), *options]
    command += ["--person-fcd-output", str(out.with_name("persons.xml"))]
    subprocess.run(command, check=True, capture_output=True, env=sumo_environment())
    return sorted(
        (round(float(step.get("time", "")) * 1000), vehicle.get("id", ""), [_hundredths(vehicle, key) for key in FCD])
        for step in ET.parse(out).getroot()
        for vehicle in step.iter("vehicle")
    )


FCD = ("x", "y", "speed", "angle")


def _hundredths(vehicle: ET.Element, key: str) -> int:
    return int(vehicle.get(key, "").replace(".", ""))


@pytest.mark.parametrize(
    "options",
    [
        (("--seed", "5", "--end", "200"), {"end_s": 200}),
        (
            ("--seed", "5", "--begin", "10", "--end", "40", "--step-length", "0.5"),
            {"begin_s": 10, "end_s": 40, "step_s": 0.5},
        ),
    ],
)
def test_a_recording_is_sumos_own_to_the_last_digit(
    tmp_path: Path, options: tuple[tuple[str, ...], dict[str, float]]
) -> None:
    theirs = sumos_own(PORTSIDE, tmp_path / "fcd.xml", *options[0])
    frame = pd.read_parquet(record(PORTSIDE, seed=5, cache=tmp_path, **options[1]))  # type: ignore[arg-type]
    numbers = frame[["x_cm", "y_cm", "speed_cmps", "angle_cdeg"]].to_numpy().tolist()
    ours = sorted(zip(frame["time_ms"].tolist(), frame["vehicle"].astype(str).tolist(), numbers, strict=True))
    assert len(ours) > 1000
    assert ours == theirs


MESOSCOPIC = ("--mesosim", "true", "--meso-interpolate-pos", "true", "--meso-junction-control", "true")


@pytest.mark.parametrize("step_s", [1.0, 0.5])
def test_a_mesoscopic_recording_is_sumos_own_but_on_junctions(tmp_path: Path, step_s: float) -> None:
    """There SUMO gives the beginning of the edge that was left; ours lies on the junction's lane."""
    net = sumolib.net.readNet(str(inputs(PORTSIDE).net), withInternal=True)
    options = (*MESOSCOPIC, "--seed", "5", "--end", "150", "--step-length", str(step_s))
    sumos_own(PORTSIDE, tmp_path / "fcd.xml", *options, "--fcd-output.attributes", "x,y,speed,angle,edge")
    theirs = {
        (round(float(step.get("time", "")) * 1000), vehicle.get("id", "")): vehicle
        for step in ET.parse(tmp_path / "fcd.xml").getroot()
        for vehicle in step.iter("vehicle")
    }
    trace = Trace(record(PORTSIDE, seed=5, end_s=150, step_s=step_s, mesoscopic=True, cache=tmp_path))
    frame = pd.read_parquet(trace.path)
    ours = {
        (time, str(name)): row
        for time, name, *row in frame[
            ["time_ms", "vehicle", "x_cm", "y_cm", "speed_cmps", "angle_cdeg"]
        ].values.tolist()
    }
    assert ours.keys() == theirs.keys()
    inside = {key: vehicle for key, vehicle in theirs.items() if vehicle.get("edge", "").startswith(":")}
    assert 500 < len(inside) < 0.2 * len(ours)
    assert trace.summary().counts["samples placed on junctions"] == len(inside)
    outside = sorted(ours.keys() - inside.keys())
    apart = np.array([ours[key] for key in outside]) - [[_hundredths(theirs[key], of) for of in FCD] for key in outside]
    assert np.abs(apart).max() <= 1  # positions are interpolated, which may change a last bit
    for key, vehicle in inside.items():
        shape = net.getEdge(vehicle.get("edge")).getLanes()[0].getShape()
        place = tuple(value / 100.0 for value in ours[key][:2])
        assert sumolib.geomhelper.distancePointToPolygon(place, shape) < 0.02
    assert trace.summary().source.endswith("seed 5, mesoscopic")
    steps = frame.sort_values(["vehicle", "time_ms"]).groupby("vehicle", observed=True)[["x_cm", "y_cm"]].diff()
    assert np.hypot(*steps.dropna().to_numpy().T).max() < 6000  # vehicles advance in a queue all at once


def test_a_configuration_may_be_mesoscopic_itself(tmp_path: Path) -> None:
    plain, own = (
        config(tmp_path / name, more)
        for name, more in (("plain", ""), ("own", '<mesoscopic><mesosim value="true"/></mesoscopic>'))
    )

    def rows(sumocfg: Path, mesoscopic: bool | None) -> list[list[object]]:
        path = record(sumocfg, seed=1, mesoscopic=mesoscopic, cache=tmp_path)
        return pd.read_parquet(path).astype({"vehicle": str}).to_numpy().tolist()

    assert rows(own, None) == rows(plain, True) == rows(own, True)
    assert rows(own, False) == rows(plain, None) == rows(plain, False)
    assert rows(own, None) != rows(plain, None)
    assert len({path.name for path in (tmp_path / "traces").iterdir()}) == 4  # plain ones alone are the same thing


def test_a_run_without_an_end_stops_where_sumo_does(tmp_path: Path) -> None:
    folder = tmp_path / "map"
    sumocfg = config(folder, routes="few.rou.xml")
    sumocfg.write_text(sumocfg.read_text().replace('<end value="30"/>', ""))
    (folder / "few.rou.xml").write_text(
        '<routes><vehicle id="v" depart="3"><route edges="c2r2_c3r2"/></vehicle>'
        '<vehicle id="w" depart="40"><route edges="c2r2_c3r2"/></vehicle></routes>'
    )
    theirs = sumos_own(sumocfg, tmp_path / "fcd.xml", "--seed", "1")
    trace = Trace(record(sumocfg, seed=1, cache=tmp_path))
    assert trace.rows == len(theirs)
    times = [float(step.get("time", "")) for step in ET.parse(tmp_path / "fcd.xml").getroot()]
    assert (trace.begin_s, trace.end_s) == (times[0], times[-1])


def test_vehicles_with_an_fcd_device_alone(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", '<fcd_device><device.fcd.probability value="0.3"/></fcd_device>')
    theirs = sumos_own(sumocfg, tmp_path / "fcd.xml", "--seed", "1")
    frame = pd.read_parquet(record(sumocfg, seed=1, cache=tmp_path))
    assert 0 < frame["vehicle"].nunique() < 20
    ours = sorted(zip(frame["time_ms"].tolist(), frame["vehicle"].astype(str).tolist(), strict=True))
    assert ours == [row[:2] for row in theirs]


def test_a_device_that_thins_out_samples_is_refused(tmp_path: Path) -> None:
    sumocfg = config(tmp_path / "map", '<fcd_device><device.fcd.period value="3"/></fcd_device>')
    with pytest.raises(TraceError, match=r"sets device\.fcd\.period, which a recording here does not follow"):
        record(sumocfg, seed=1, cache=tmp_path)


def test_what_sumo_counts_is_kept(tmp_path: Path) -> None:
    """Broken routes that `--ignore-route-errors` lets pass, and vehicles that find no room, are told."""
    folder = tmp_path / "map"
    sumocfg = config(folder, '<processing><ignore-route-errors value="true"/></processing>', routes="bad.rou.xml")
    (folder / "bad.rou.xml").write_text(
        '<routes><vehicle id="v" depart="0"><route edges="c2r2_c3r2 c0r0_c0r1"/></vehicle>'
        + "".join(f'<vehicle id="w{k}" depart="0"><route edges="c2r2_c3r2"/></vehicle>' for k in range(40))
        + "</routes>"
    )
    counts = Trace(record(sumocfg, seed=1, cache=tmp_path)).summary().counts
    assert counts["vehicles with a broken route"] == 1
    assert counts["vehicles still waiting for insertion"] > 5
    assert counts["vehicles loaded"] == counts["vehicles inserted"] + counts["vehicles still waiting for insertion"]


def test_without_libsumo_there_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = record(config(tmp_path / "map"), seed=1, cache=tmp_path)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "libsumo" else find(name, *rest)
    )
    with pytest.raises(TraceError, match="libsumo is not installed; run: pip install libsumo"):
        record(tmp_path / "map" / "own.sumocfg", seed=2, cache=tmp_path)
    assert Trace(recorded).summary().vehicles > 20


def test_a_map_is_found_without_sumo(monkeypatch: pytest.MonkeyPatch) -> None:
    with_sumo = inputs(PORTSIDE)
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name == "sumo" else find(name, *rest))
    assert inputs(PORTSIDE) == with_sumo


def test_a_broken_off_recording_keeps_what_was_recorded(tmp_path: Path) -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record_into(tmp_path / "kept", PORTSIDE, seed=5, end_s=900, progress=stop)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "part-00000.parquet"]
    trace = Trace(tmp_path / "kept")
    assert (trace.complete, trace.begin_s, trace.end_s) == (False, 0.0, 300.0)


def test_a_killed_recording_keeps_its_parts(tmp_path: Path) -> None:
    """SIGKILL to the recorder itself: nothing of it can tidy up."""
    code = (
        "import sys; from pathlib import Path; from iovsim.mobility.sumo import record_into; "
        "record_into(Path(sys.argv[1]), sys.argv[2], seed=5, end_s=3600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "kept"), str(PORTSIDE)]) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "kept" / "part-00000.parquet").is_file() and time.monotonic() < until:
            time.sleep(0.05)
        process.kill()
    trace = Trace(tmp_path / "kept")
    assert not trace.complete
    assert trace.summary().rows == trace.rows > 1000


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


@pytest.mark.parametrize("name", ["my map", "100 %", "50%20 é; sic"])
def test_names_and_lists_with_blanks_and_signs(tmp_path: Path, name: str) -> None:
    """SUMO codes such names where it saves a configuration, and takes what it reads for coded."""
    sumocfg = config(tmp_path / name, routes="portside.rou.xml.gz, more of it.rou.xml ", name=f"{name}.sumocfg")
    (tmp_path / name / "more of it.rou.xml").write_text(
        '<routes><vehicle id="late" depart="1"><route edges="c2r2_c3r2 c3r2_c4r2"/></vehicle></routes>'
    )
    assert [path.name for path in inputs(sumocfg).routes] == ["portside.rou.xml.gz", "more of it.rou.xml"]
    trace = Trace(record(sumocfg, seed=1, cache=tmp_path / "cache", progress=lambda part: None))
    assert "late" in {vehicle for window in trace.windows() for vehicle in window.names}


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


def test_a_gzip_that_is_damaged_inside(tmp_path: Path) -> None:
    """Other errors of the library than those of one that is cut off."""
    sumocfg = config(tmp_path / "map")
    net = tmp_path / "map" / "portside.net.xml.gz"
    data = net.read_bytes()
    for damage in (data[:40] + bytes(40) + data[80:], data[:3000] + b"\xff" * 500 + data[3500:], data[:-6] + bytes(6)):
        net.write_bytes(damage)
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
