"""The world file: a TOML text becomes a checked `Scenario`: all keys, units and defaults are here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from iovsim.config.battery import BatterySection
from iovsim.config.builtin import scenario_file
from iovsim.config.changes import changed, with_changes
from iovsim.config.model import Kind, Model, read_toml, validate
from iovsim.config.numbers import Count, Gain, Name, NotNegative, Part, Positive, Power, Seconds
from iovsim.config.tasks import TaskSection
from iovsim.errors import ScenarioError, near_match


class Time(Model):
    """The stretch of the trace in which rounds run, in SUMO's own seconds. Earlier traffic only fills the city."""

    start_s: Annotated[float, Field(ge=0, le=7 * 86400)]
    duration_s: Seconds


class Mobility(Model):
    """Where the vehicles come from: a `map` by name, built in or installed, any `sumocfg`, or a `trace` alone.

    `trace` replays a trace, recorded or imported earlier, instead of running SUMO: one of the map, or, without `map`
    and `sumocfg`, any. Then a SUMO `net` gives roads and junctions, and `buildings` (polygons as polyconvert writes
    them) block sight; both are in the trace's own metres, and may be left out.
    `step_s` is SUMO's step; `mesoscopic` has it move vehicles by queues of road segments, several times as fast, or one
    by one (left out: as the configuration says). Both change contacts: DESIGN.md says how much.
    `seed` pins SUMO's seed; without it SUMO gets the run's seed. `ignore_route_errors` accepts broken routes, whose
    vehicles are counted.
    `source = "live"` drives SUMO beside the run, so that a policy file's `traffic` may act on vehicles; where it does
    nothing, the run equals the replayed one. `coupling` says how: by libsumo in the same process, or by a TraCI socket
    to a SUMO of its own, with a window where `gui = true`.
    """

    map: Name | None = None
    sumocfg: Path | None = None
    trace: Path | None = None
    net: Path | None = None
    buildings: Path | None = None
    step_s: Annotated[float, Field(ge=0.001, le=60)] = 1.0
    mesoscopic: bool | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    ignore_route_errors: bool = False
    source: Literal["replay", "live"] = "replay"
    coupling: Literal["libsumo", "traci"] = "libsumo"
    gui: bool = False

    @model_validator(mode="after")
    def _live_or_not(self) -> Self:
        if self.source == "live" and self.trace is not None:
            raise ValueError(
                "'trace' is traffic of the past; set source = 'replay', or leave it out and name a 'map' or 'sumocfg'"
            )
        if self.source == "live" and self.mesoscopic:
            raise ValueError(
                "mesoscopic = true drives queues, in which no vehicle can be acted on; set source = 'replay'"
            )
        if self.gui and (self.source, self.coupling) != ("live", "traci"):
            raise ValueError("gui = true needs source = 'live' and coupling = 'traci'")
        return self

    @model_validator(mode="after")
    def _one_map(self) -> Self:
        named = [key for key in ("map", "sumocfg") if getattr(self, key) is not None]
        if len(named) == 2 or not (named or self.trace):
            raise ValueError(
                "give either 'map' (a map's name) or 'sumocfg' (a file), not both; or neither, but a 'trace'"
            )
        for key in ("net", "buildings"):
            if named and getattr(self, key) is not None:
                raise ValueError(f"'{key}' is for a trace alone; '{named[0]}' has its own, so take one of them out")
        if not named and (self.seed is not None or self.ignore_route_errors or self.step_s != 1.0):
            raise ValueError("'seed', 'step_s' and 'ignore_route_errors' are SUMO's, and a trace alone runs none")
        return self

    @property
    def has_roads(self) -> bool:
        """Whether there is a net, so that there are junctions."""
        return not (self.map is None and self.sumocfg is None and self.net is None)


class SiteSection(Model):
    """One RSU placed by hand; what is left out comes from `[rsus]`."""

    name: Name
    x_m: float
    y_m: float
    range_m: Positive | None = None
    height_m: Positive | None = None
    tasks: tuple[str, ...] | None = None


class Rsus(Model):
    """Road-side units: on a grid, at `count` junctions at least `spacing_m` apart, at sites by hand, or from a `file`.

    Junctions are taken by signals ("junctions"), by how many shortest ways pass them ("centrality"), or by traffic:
    those that together cover most vehicle time ("coverage"), or see most of it past buildings ("sight"), or lie in the
    middle of its clusters ("k-means"). RSUs are planned for the traffic of SUMO's seed `traffic_seed`, whatever the
    run's own: nobody who puts up RSUs knows the vehicles that will come. Where it is the run's own seed, the placement
    is optimistic. `traffic_trace` plans for a recorded trace instead, and is needed where `mobility.trace` is given. A
    `file` is CSV or GeoJSON.

    See `mobility.placement` for the rules and for what is taken where `count` or `spacing_m` is left out.
    """

    placement: Literal["junctions", "grid", "centrality", "coverage", "sight", "k-means", "sites", "file"]
    file: Path | None = None
    traffic_seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    traffic_trace: Path | None = None
    count: Count | None = None
    spacing_m: Annotated[float, Field(ge=10)] | None = None
    range_m: Annotated[float, Field(gt=0, le=1e5)] = 250.0
    height_m: Positive = 5.0
    sites: tuple[SiteSection, ...] = ()

    @model_validator(mode="after")
    def _rule_is_complete(self) -> Self:
        if self.placement == "sites":
            if not self.sites:
                raise ValueError("placement 'sites' needs at least one [[rsus.sites]] table")
            if self.count is not None or self.spacing_m is not None:
                raise ValueError("'count' and 'spacing_m' mean nothing with placement = 'sites'; take them out")
            names = [s.name for s in self.sites]
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"two sites are named {twice[0]!r}; names must differ")
        elif self.sites:
            raise ValueError(f"[[rsus.sites]] is only allowed with placement = 'sites', found {self.placement!r}")
        if (self.placement == "file") != (self.file is not None):
            raise ValueError("placement 'file' needs 'file', a CSV or GeoJSON file of sites, which no other takes")
        if self.placement in AT_JUNCTIONS and self.count is None:
            raise ValueError(f"placement {self.placement!r} needs 'count', the number of RSUs")
        return self


AT_JUNCTIONS = ("junctions", "centrality", "coverage", "sight", "k-means")
"""Placements that need a net."""


MOVABLE = ("mobility.trace", "mobility.net", "mobility.buildings", "rsus.file", "rsus.traffic_trace")
"""Keys of files beside those of tasks that may lie elsewhere on another machine."""


class Contacts(Model):
    """Attachment: `hysteresis_m` metres beyond the border, or beyond the middle between two RSUs, before it changes."""

    hysteresis_m: NotNegative = 10.0


class RadioSection(Model):
    """Link budget of every RSU and vehicle; defaults follow 3GPP TR 37.885 and NR-V2X practice (see DESIGN.md)."""

    carrier_hz: Annotated[float, Field(ge=1e8, le=1e11)] = 5.9e9
    bandwidth_up_hz: Positive = 20e6
    bandwidth_down_hz: Positive = 20e6
    sidelink_bandwidth_hz: Positive = 20e6
    rsu_power_dbm: Power = 30.0
    vehicle_power_dbm: Power = 23.0
    rsu_noise_figure_db: NotNegative = 5.0
    vehicle_noise_figure_db: NotNegative = 9.0
    rsu_antenna_gain_db: Gain = 3.0
    vehicle_antenna_gain_db: Gain = 3.0
    vehicle_height_m: Positive = 1.5
    efficiency: Part = 0.75
    max_bps_per_hz: Positive = 7.4
    rsu_pa_efficiency: Part = 0.3
    rsu_rx_w: NotNegative = 5.0
    buildings: bool = True
    path_loss: Kind = Kind(kind="tr37885-urban")
    shadowing: Kind = Kind(kind="correlated")
    fading: Kind = Kind(kind="rayleigh")


class Districts(Model):
    """The map is cut into `per_side` x `per_side` districts; a vehicle lives where the trace first sees it."""

    per_side: Count = 2


class Devices(Model):
    """The device tier of each vehicle, drawn by name with these shares (any positive weights).

    `memory_share` is what training may take of a device's memory; the rest holds the system and the driving functions.
    """

    tiers: dict[str, Positive] = Field(default={"orin-nano": 0.5, "orin-nx": 0.3, "agx-orin": 0.2}, min_length=1)
    memory_share: Part = 0.75


class Rounds(Model):
    """The rhythm of every RSU: a round each `period_s`, over after `deadline_s`; the cloud merges every few rounds.

    `over_budget` says what happens to a plan whose estimated energy exceeds a task's `round_energy_j`: "record" writes
    the overrun down, "refuse" makes it an error.
    """

    period_s: Positive = 30.0
    deadline_s: Positive = 28.0
    merge_every: Count = 2
    over_budget: Literal["record", "refuse"] = "record"

    @model_validator(mode="after")
    def _deadline_in_period(self) -> Self:
        if self.deadline_s > self.period_s:
            raise ValueError(f"deadline_s = {self.deadline_s:g} exceeds period_s = {self.period_s:g}; make it smaller")
        return self


class Evaluation(Model):
    """What is measured how often, counted in merges; the start and the end are always measured.

    `every_merges`: the merged adapter on the global held-out set, as a whole, by class and by district.
    `vehicles_every_merges`: on the own held-out samples of `vehicles` vehicles, the same for every policy; left out, at
    the end only. `adapters_every_merges`: keep the merged adapter; left out, the last only. `validation_share`: the
    part of each task's training pool, at most 500 samples, that no vehicle holds and whose accuracy policies may see.
    """

    every_merges: Count = 1
    vehicles: Count = 60
    vehicles_every_merges: Count | None = None
    adapters_every_merges: Count | None = None
    validation_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1


class Scenario(Model):
    """A whole world file, checked. Relative paths in it start at the file's own folder.

    `sensors` gives the share of the vehicles that carry each sensor; a task without one is open to all vehicles.
    """

    name: Name
    title: str = ""
    time: Time
    mobility: Mobility
    battery: BatterySection | None = None
    rsus: Rsus
    contacts: Contacts = Contacts()
    radio: RadioSection = RadioSection()
    devices: Devices = Devices()
    districts: Districts = Districts()
    sensors: dict[str, Part] = Field(default={})
    tasks: tuple[TaskSection, ...] = Field(min_length=1)
    rounds: Rounds = Rounds()
    evaluation: Evaluation = Evaluation()
    _folder: Path = PrivateAttr(default=Path())
    _where: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _batteries_are_driven(self) -> Self:
        if self.battery is not None and self.mobility.source != "live":
            raise ValueError(
                "[battery] needs SUMO beside the run, since a recording tells no charge; set mobility.source = 'live', "
                "or take the table out"
            )
        return self

    @model_validator(mode="after")
    def _junctions_are_there(self) -> Self:
        if self.rsus.placement in AT_JUNCTIONS and not self.mobility.has_roads:
            raise ValueError(
                f"rsus.placement = {self.rsus.placement!r} puts RSUs at junctions, and a trace alone has none: add "
                "mobility.net, the SUMO net of the trace's metres, or place them by 'grid', 'sites' or 'file'"
            )
        return self

    @model_validator(mode="after")
    def _tasks_are_known(self) -> Self:
        names = [t.name for t in self.tasks]
        if len(set(names)) != len(names):
            raise ValueError("two tasks have the same name; names must differ")
        for task_section in self.tasks:
            sensor = task_section.sensor
            if sensor is not None and sensor not in self.sensors:
                raise ValueError(
                    f"task {task_section.name!r} needs the sensor {sensor!r}; "
                    + (near_match(sensor, self.sensors) if self.sensors else "add [sensors] with its share of vehicles")
                )
        for unused in self.sensors.keys() - {t.sensor for t in self.tasks}:
            raise ValueError(f"the sensor {unused!r} serves no task; name it in one, or take it out")
        for site in self.rsus.sites:
            for task in site.tasks or ():
                if task not in names:
                    raise ValueError(f"RSU {site.name!r} hosts the unknown task {task!r}; the tasks are {names}")
        if self.rounds.period_s > self.time.duration_s:
            raise ValueError(
                f"time.duration_s = {self.time.duration_s:g} holds no round of period_s = {self.rounds.period_s:g}"
            )
        return self

    @property
    def where(self) -> str:
        """What errors about it begin with: its file, and what was changed in it; its name where it has no file."""
        return self._where or self.name

    def resolved(self, path: Path) -> Path:
        """`path` as written in the file, made absolute."""
        return path if path.is_absolute() else (self._folder / path).resolve()

    def _named(self, key: str) -> Path | None:
        section, _, name = key.partition(".")
        found: Path | None = getattr(getattr(self, section), name)
        return found

    def with_data(self, task: str, path: Path) -> Self:
        """The same scenario with a task's data at `path`, or a file of `MOVABLE` there, where it names one.

        Raises `ScenarioError` for a task that reads no data, and for what is no task and no such file.
        """
        named = {t.name: t for t in self.tasks}
        if task not in named:
            files = [key for key in MOVABLE if self._named(key) is not None]
            if task not in files:
                raise ScenarioError(f"{self.where}: no task {task!r}; {near_match(task, [*named, *files])}")
            section, _, key = task.partition(".")
            return self.model_copy(update={section: getattr(self, section).model_copy(update={key: path})})
        own = named[task]
        if "path" not in type(own.data).model_fields:
            raise ScenarioError(f"{self.where}: the data of task {task!r} are generated, not read; leave its path out.")
        moved = own.model_copy(update={"data": own.data.model_copy(update={"path": path})})
        return self.model_copy(update={"tasks": tuple(moved if t is own else t for t in self.tasks)})


def load_scenario(name_or_path: str | Path, changes: Mapping[str, object] | None = None) -> Scenario:
    """The checked world file at a path (a text must end in '.toml'), or a built-in one by name.

    `changes` gives dotted keys other values (see `config.changes.changed`); relative paths among them start at the
    file's folder. Raises `ScenarioError` for an unknown name, or with file, key, value and what is allowed.
    """
    path = scenario_file(name_or_path)
    return scenario_from(read_toml(path), path, changes)


def scenario_from(data: dict[str, Any], path: Path, changes: Mapping[str, object] | None = None) -> Scenario:
    """A scenario from tables that are already read; `path` names them in errors and anchors relative paths."""
    where = with_changes(str(path), changes or {})
    scenario = validate(Scenario, changed(data, changes or {}), where)
    scenario._folder, scenario._where = path.parent.resolve(), where
    return scenario
