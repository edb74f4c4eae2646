"""An OpenStreetMap extract becomes a folder that SUMO runs as it is: net, buildings, traffic, configuration.

Roads by netconvert, buildings by polyconvert, trips by randomTrips, routes by duarouter, all of SUMO's wheel; they work
in a folder of their own, since they leave further files wherever they run. Equal extract, options and versions give
equal bytes.
"""

from __future__ import annotations

import gzip
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from iovsim.errors import ScenarioError
from iovsim.files import PART, sha256_of, whole_folder
from iovsim.mobility.map_record import NAME as RECORD
from iovsim.mobility.map_record import MapRecord, write_record
from iovsim.mobility.osm import Extract, unpack
from iovsim.mobility.roadmap import read_map
from iovsim.mobility.route_check import broken_routes
from iovsim.mobility.sumo_config import inputs, run_tool, sumo_message, sumo_tool

NET, POLYGONS, ROUTES, CONFIG = "map.net.xml.gz", "map.poly.xml.gz", "map.rou.xml.gz", "map.sumocfg"

LICENCE = (
    "ODbL-1.0: name OpenStreetMap contributors wherever the map is shown (https://www.openstreetmap.org/copyright)"
)

WALLS = """<polygonTypes>
<polygonType id="building" name="building" layer="-1"/>
<polygonType id="building.no" discard="true"/>
<polygonType id="building.roof" discard="true"/>
<polygonType id="building.carport" discard="true"/>
</polygonTypes>"""
"""What becomes a polygon: all that has walls, and so stands between two antennas (the choice is ours)."""

NETCONVERT = (
    "--geometry.remove", "--ramps.guess", "--junctions.join", "--tls.guess-signals", "--tls.discard-simple",
    "--tls.join", "--tls.default-type", "actuated", "--remove-edges.isolated",
)  # fmt: skip
"""As SUMO's own osmWebWizard converts OpenStreetMap."""

CONFIGURATION = f"""<configuration>
  <input>
    <net-file value="{NET}"/>
    <route-files value="{ROUTES}"/>
    <additional-files value="{POLYGONS}"/>
  </input>
  <time><begin value="0"/><end value="%d"/></time>
  <report><no-step-log value="true"/></report>
</configuration>
"""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Demand:
    """Traffic: cars that set out, per hour and kilometre of lane; for how long; and the seed of starts, ends and times.

    12 is what osmWebWizard proposes for cars. A start or end where a road leaves the map is `fringe_weight` times as
    likely as elsewhere (there 5), which stands for through traffic; beeline of a trip at least `shortest_m`.
    """

    cars_per_lane_km_hour: float = 12.0
    duration_s: int = 3600
    seed: int = 1
    fringe_weight: float = 5.0
    shortest_m: float = 300.0


def build_map(
    osm: Path,
    out: Path,
    demand: Demand,
    *,
    left_hand: bool | None = None,
    largest_km2: float = 400.0,
    overwrite: bool = False,
    progress: Progress = lambda step, done: None,
) -> tuple[MapRecord, Extract]:
    """Write the folder `out`, whole or not at all. `left_hand` None: as the roundabouts are driven, else on the right.

    Raises `ScenarioError` for an unusable extract or option or a folder that is there already, `TraceError` where SUMO
    is missing or fails.
    """
    _check(demand, out, overwrite)
    with tempfile.TemporaryDirectory(prefix="iovsim-") as name:
        folder = Path(name)
        progress("reading the extract", 0.0)
        extract = unpack(osm, folder / "extract.osm.xml")
        if extract.area_km2 > largest_km2:
            raise ScenarioError(
                f"{osm}: its roads lie in a rectangle of {extract.area_km2:.0f} km2, more than {largest_km2:g}; cut "
                "out a smaller area, or allow more with --largest (SUMO's net then takes the more memory and time)."
            )
        on_left = extract.left_hand or False if left_hand is None else left_hand
        commands = _convert(osm, folder, demand, on_left, progress)
        record = MapRecord(
            sumocfg=CONFIG,
            title=f"Built from {osm.name}, {extract.area_km2:.1f} km2",
            source=f"OpenStreetMap, {osm.name} (SHA-256 {extract.sha256})",
            licence=LICENCE,
            files={file: sha256_of(folder / file) for file in (CONFIG, NET, POLYGONS, ROUTES)},
            built={
                "commands": commands,
                "versions": {name: version(name) for name in ("iovsim", "eclipse-sumo", "sumolib")},
                "left_hand": on_left,
                "roundabouts": {"clockwise": extract.clockwise, "counter_clockwise": extract.counter_clockwise},
            },
        )
        with whole_folder(out) as part:
            for file in record.files:
                (part / file).write_bytes((folder / file).read_bytes())
            write_record(part, record)
    return record, extract


def _check(demand: Demand, out: Path, overwrite: bool) -> None:
    """What can be refused before anything is read."""
    for option, value, least, most in (
        ("density", demand.cars_per_lane_km_hour, 0.01, 2000.0),  # a lane takes no more than about 2,000 cars an hour
        ("duration", demand.duration_s, 1, 7 * 86400),
        ("seed", demand.seed, 0, 2**31 - 1),
    ):
        if not least <= value <= most:
            raise ScenarioError(f"--{option} {value:g}: must be from {least:g} to {most:g}.")
    if out.exists() and not out.is_dir():
        raise ScenarioError(f"--out {out}: is a file; name a folder.")
    held = [path.name for path in out.iterdir() if not path.name.startswith(PART)] if out.is_dir() else []
    if held and not (overwrite and RECORD in held):
        raise ScenarioError(
            f"--out {out}: is there already and holds {len(held)} files; choose another folder"
            + (", or replace this map with --overwrite." if RECORD in held else " (only a built map can be replaced).")
        )


def _convert(osm: Path, folder: Path, demand: Demand, on_left: bool, progress: Progress) -> list[str]:
    """Runs SUMO's tools in `folder` and leaves the map's four files there. Returns the commands.

    Raises `ScenarioError` in the words of a tool that fails.
    """
    commands: list[str] = []

    def tool(name: str, *options: str) -> None:
        program = sumo_tool(name)
        command = [sys.executable, str(program)] if program.suffix == ".py" else [str(program)]
        done = run_tool([*command, *options], folder)
        if done.returncode != 0:
            raise ScenarioError(f"{osm}: {name} cannot convert it: {sumo_message(done.stderr)}")
        commands.append(" ".join((name, *options)))

    home = sumo_tool("netconvert").parent.parent
    maps = [home / "data" / "typemap" / name for name in ("osmNetconvert.typ.xml", "osmNetconvertUrbanDe.typ.xml")]
    for file in maps:
        (folder / file.name).write_bytes(file.read_bytes())  # so that commands name no place on this machine
    progress("converting roads", 0.1)
    tool("netconvert", "--osm-files", "extract.osm.xml", "--type-files", ",".join(file.name for file in maps),
         "--keep-edges.by-vclass", "passenger", *NETCONVERT, *(["--lefthand"] if on_left else []),
         "--output-file", "net.xml")  # fmt: skip
    progress("converting buildings", 0.4)
    (folder / "walls.typ.xml").write_text(WALLS)
    tool("polyconvert", "--osm-files", "extract.osm.xml", "--net-file", "net.xml", "--type-file", "walls.typ.xml",
         "--discard", "--osm.keep-full-type", "--output-file", "poly.xml")  # fmt: skip
    progress("making trips", 0.5)
    tool("randomTrips.py", "--net-file", "net.xml", "--output-trip-file", "trips.xml", "--end", str(demand.duration_s),
         "--insertion-density", f"{demand.cars_per_lane_km_hour:g}", "--fringe-factor", f"{demand.fringe_weight:g}",
         "--min-distance", f"{demand.shortest_m:g}", "--lanes", "--random-depart", "--seed", str(demand.seed),
         "--vehicle-class", "passenger", "--prefix", "car", "--validate", "--threads", "1")  # fmt: skip
    progress("finding routes", 0.7)
    tool("duarouter", "--net-file", "net.xml", "--route-files", "trips.xml", "--output-file", "rou.xml",
         "--seed", str(demand.seed), "--remove-loops", "--no-step-log")  # fmt: skip
    for name, plain in ((NET, "net.xml"), (POLYGONS, "poly.xml"), (ROUTES, "rou.xml")):
        (folder / name).write_bytes(_packed((folder / plain).read_text(encoding="utf-8")))
    (folder / CONFIG).write_text(CONFIGURATION % demand.duration_s)
    progress("checking", 0.9)
    _prove(osm, folder, demand)
    return commands


def _prove(osm: Path, folder: Path, demand: Demand) -> None:
    """The map can be read, has roads, and every vehicle has a whole route."""
    made = inputs(folder / CONFIG)
    read_map(made)
    broken = broken_routes(made)
    if broken.vehicles:
        raise ScenarioError(f"{osm}: SUMO's tools made {broken.vehicles} broken routes ({broken.first}).")
    if b"<vehicle " not in gzip.decompress((folder / ROUTES).read_bytes()):
        raise ScenarioError(
            f"{osm}: no trip of {demand.shortest_m:g} m could be made in {demand.duration_s} s at "
            f"{demand.cars_per_lane_km_hour:g} cars an hour and lane kilometre; raise --density or --duration, or take "
            "an extract with more roads."
        )


def _packed(xml: str) -> bytes:
    """Without the comments in which SUMO's tools note time and folder, and without gzip's own time: equal bytes."""
    return gzip.compress(re.sub(r"<!--.*?-->\s*", "", xml, flags=re.DOTALL).encode(), mtime=0)
