"""Runs that are asked for become finished run folders, made as tasks on whatever nodes a Ray cluster has."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iovsim.config import BuiltinData
from iovsim.errors import IovsimError, ResultsError, ScenarioError
from iovsim.experiment.inputs import policy_inputs, scenario_inputs
from iovsim.experiment.pool import Outcome
from iovsim.experiment.run import RunSpec, manifest_of
from iovsim.progress import Report
from iovsim.results.manifest import Input
from iovsim.studies.errand import Errand, program_here
from iovsim.studies.hub_models import hub_models
from iovsim.studies.parcel import packed
from iovsim.studies.place import check_place, put
from iovsim.studies.shipment import Shipment, Shipped, own_modules, shipments

try:
    import ray
    from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError, RayError, WorkerCrashedError

    from iovsim.studies.ray_cluster import Demands, check_demands, connected
    from iovsim.studies.ray_tasks import Board, make_data, make_run, make_world
except ImportError as error:
    raise ScenarioError("engine ray: Ray is not installed; run pip install 'iovsim[ray]', on every node.") from error

POLL_S = 0.5

GRACE_S = 10.0
"""What runs that are called off get to clear up before their processes are ended."""

LOST = (WorkerCrashedError, NodeDiedError, OutOfMemoryError, ObjectLostError)
"""What Ray says of work that it has begun again as often as it may."""

TRAFFIC = {"time", "mobility", "rsus", "contacts", "radio", "districts"}
"""The sections of a scenario from which its world's traffic, contacts and links follow."""

Ref = Any
"""A `ray.ObjectRef`: Ray gives it one type where it is made and another where it is waited for."""


def run_on_ray(
    specs: Sequence[RunSpec],
    cache: Path,
    report: Report,
    *,
    address: str | None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    memory_bytes: int | None = None,
    retries: int = 3,
) -> Iterator[Path]:
    """Yields each run's folder as it is finished and whole at spec.out, in whatever order.

    Raises the first error of a run; those that are finished stay, the others are called off, as they are when the
    iterator is closed. Else like `each_on_ray`.
    """
    demands = Demands(cpus, gpus, memory_bytes, retries)
    with closing(each_on_ray(specs, cache, report, address=address, demands=demands)) as outcomes:
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            yield outcome.result


def each_on_ray(
    specs: Sequence[RunSpec], cache: Path, report: Report, *, address: str | None, demands: Demands
) -> Generator[Outcome, None, None]:
    """Runs everything as tasks; how each ended comes as it ends, with its number in `specs`.

    Closing the iterator calls off what is not done. `address` is that of a cluster (None: `$RAY_ADDRESS`, else this
    machine for as long as the runs take). Raises `ResultsError` where there is no such cluster or where this machine
    can never meet the demands, and an `IovsimError` for whatever is wrong with the input.
    """
    for spec in specs:
        check_place(spec.out)
        if spec.training.device != "cpu" and not demands.gpus:
            raise ScenarioError(
                f"{spec.label}: trains on {spec.training.device!r}, but Ray is asked for no GPU and hides them; "
                "ask for one a run, or a part of one."
            )
    with connected(address) as is_ours:
        check_demands(demands, report, may_grow=not is_ours)
        work = _Work(list(specs), cache.absolute(), report, demands)
        try:
            yield from work.outcomes()
        finally:
            work.end()


@dataclass(slots=True, eq=False)
class _Work:
    specs: list[RunSpec]
    cache: Path
    report: Report
    demands: Demands
    pending: dict[Ref, int] = field(default_factory=dict)
    shared: dict[object, Ref] = field(default_factory=dict)  # worlds and data sets, by what they are made from
    sent: dict[Shipment, Shipped] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    board: Any = None

    def outcomes(self) -> Iterator[Outcome]:
        self.board = ray.remote(num_cpus=0)(Board).remote()
        self._submit()
        news = self.board.take.remote()
        while self.pending:
            ready, _ = ray.wait(list(self.pending), timeout=POLL_S)
            news = self._told(news)
            for ref in ready:
                yield self._outcome(self.pending.pop(ref), ref)

    def end(self) -> None:
        """Calls off what is not done; it gets a while to clear up."""
        left = [*self.pending, *self.shared.values()]
        for ref in left:
            ray.cancel(ref)
        _, busy = ray.wait(left, num_returns=len(left), timeout=GRACE_S) if left else ([], [])
        for ref in busy:
            ray.cancel(ref, force=True)

    def _submit(self) -> None:
        inputs = {key: scenario_inputs(s.scenario) for key, s in {_key(s): s for s in self.specs}.items()}
        errands = self._errands(inputs)
        run = ray.remote(**self.options, num_gpus=self.demands.gpus)(make_run)
        for number, spec in enumerate(self.specs):
            errand, origin = errands[_key(spec)], manifest_of(spec, inputs[_key(spec)]).origin
            made = [self._world(spec, errand), *(self._data(spec, task, errand) for task in _generated(spec))]
            ref = run.options(name=spec.label).remote(self.board, spec, origin, errand, *made)
            self.pending[ref] = number

    def _errands(self, inputs: Mapping[tuple[str, str], Mapping[str, Input]]) -> dict[tuple[str, str], Ref]:
        """What goes with the runs of each scenario, whose inputs are given, once in the object store."""
        policies = [policy_inputs(policy) for policy in {id(s.policy): s.policy for s in self.specs}.values()]
        own = own_modules({key: i for named in (*inputs.values(), *policies) for key, i in named.items()})
        environment = {"OMP_NUM_THREADS": "1"}
        if own is not None:  # so that no process has loaded other modules of the same names before
            environment["IOVSIM_MODULES"] = own.input.sha256
        self.options = {
            "num_cpus": self.demands.cpus,
            "memory": self.demands.memory_bytes,
            "max_retries": self.demands.retries,
            "retry_exceptions": False,
            "runtime_env": {"env_vars": environment},
        }
        modules = tuple(self._sent(s) for s in ([own] if own else []))
        errands = {}
        for key, scenario in {_key(s): s.scenario for s in self.specs}.items():
            files = tuple(self._sent(s) for s in shipments(inputs[key]))
            models = tuple(self._sent(s) for s in hub_models(scenario))
            errands[key] = ray.put(Errand(self.cache, program_here(), modules, files, models))
        return errands

    def _sent(self, shipment: Shipment) -> Shipped:
        """The same with its files in the object store, once."""
        if shipment not in self.sent:
            pieces = tuple(ray.put(parcel) for parcel in packed(shipment.base, shipment.files))
            self.sent[shipment] = Shipped(shipment.key, shipment.input, shipment.place, shipment.inner, pieces)
        return self.sent[shipment]

    def _world(self, spec: RunSpec, errand: Ref) -> Ref:
        label = ", ".join(part for part in (spec.variant, f"world of seed {spec.seed}") if part)
        key = (*_key(spec, TRAFFIC), spec.seed, *(task.name for task in spec.scenario.tasks))
        return self._once(key, make_world, label, spec, errand)

    def _data(self, spec: RunSpec, task: str, errand: Ref) -> Ref:
        section = next(t.data for t in spec.scenario.tasks if t.name == task)
        key = (section.model_dump_json(), spec.scenario.districts.per_side)
        return self._once(key, make_data, f"data of task {task}", spec, task, errand)

    def _once(self, key: object, make: Callable[..., Any], label: str, *what: object) -> Ref:
        if key not in self.shared:
            task = ray.remote(**self.options)(make).options(name=label)
            self.shared[key] = task.remote(label, self.board, *what)
        return self.shared[key]

    def _told(self, news: Ref | None) -> Ref | None:
        """Reports what the board has heard; None where the board is lost, which harms nobody."""
        if news is None or not ray.wait([news], timeout=0)[0]:
            return news
        try:
            heard: Any = ray.get(news)
            for label, (step, done) in heard.items():
                self.report(label, step, done)
        except RayError:
            return None
        return self.board.take.remote()

    def _outcome(self, number: int, ref: Ref) -> Outcome:
        spec = self.specs[number]
        try:
            made: Any = ray.get(ref)
            if isinstance(made, IovsimError):
                return Outcome(number, None, made)
            if made is not None:
                put(made, spec.out)
        except LOST as error:
            return Outcome(number, None, ResultsError(f"{spec.label}: {self._why_lost(error)}"))
        except Exception as error:
            return Outcome(number, None, error)
        return Outcome(number, spec.out)

    def _why_lost(self, error: RayError) -> str:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        return (
            f"its process or node was lost {self.demands.retries + 1} times (last: {type(error).__name__}: {reason}); "
            "ask for more memory a run, then give the same command again."
        )


def _key(spec: RunSpec, sections: set[str] | None = None) -> tuple[str, str]:
    """Equal for specifications whose scenarios (or these sections of them) are, with their relative paths."""
    return spec.scenario.model_dump_json(include=sections), str(spec.scenario.resolved(Path()))


def _generated(spec: RunSpec) -> list[str]:
    """The tasks whose data come with iovsim."""
    return [task.name for task in spec.scenario.tasks if isinstance(task.data, BuiltinData)]
