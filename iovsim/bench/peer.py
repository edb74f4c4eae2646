"""`python -m iovsim.bench.peer NAME FEDERATION FOLDER`: a federation in JSON becomes `cost.json` and an adapter.

Other frameworks run in processes of their own, because they set up loggers, threads and start methods for the whole
process in which they are imported.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from iovsim.bench.federation import Federation, Outcome
from iovsim.bench.rows import Cost
from iovsim.errors import IovsimError
from iovsim.learning.adapter_files import load_tensors, save_tensors

COST_FILE = "cost.json"
ADAPTER_FILE = "adapter.safetensors"
LIMIT_S = 900.0


class PeerError(IovsimError):
    """Another framework could not do its part."""


def ask(name: str, federation: Federation) -> Outcome:
    """Has the framework do the job in a new process. Raises `PeerError` where it fails or takes 15 minutes."""
    with tempfile.TemporaryDirectory() as folder:
        described = json.dumps(asdict(federation))
        command = [sys.executable, "-m", "iovsim.bench.peer", name, described, folder]
        try:
            done = subprocess.run(
                command, env=_environment(folder), capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PeerError(f"{name} had not finished after {LIMIT_S:g} s.") from error
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
            raise PeerError(f"{name} ended with status {done.returncode}: {last}")
        spent = json.loads((Path(folder) / COST_FILE).read_text())
        return Outcome(Cost(**spent), load_tensors(Path(folder) / ADAPTER_FILE))


def _environment(folder: str) -> dict[str, str]:
    """One thread, no accelerator, and nobody is told of the run: Flower's telemetry and Ray's statistics are off."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PFL_PYTORCH_DEVICE": "cpu",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_HOME": str(Path(folder) / "flower"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }


def main() -> None:
    """Does the job with the named framework's module, `iovsim.bench.peer_NAME`."""
    name, described, folder = sys.argv[1:]
    outcome: Outcome = importlib.import_module(f"iovsim.bench.peer_{name}").run(Federation(**json.loads(described)))
    save_tensors(outcome.adapter, Path(folder) / ADAPTER_FILE)
    (Path(folder) / COST_FILE).write_text(json.dumps(asdict(outcome.cost)))


if __name__ == "__main__":
    main()
