"""Models of Hugging Face's hub, as the driver has them, become the same models in the cache of a node that has none.

Nothing is downloaded: what a node lacks comes from the driver, into the place where `iovsim download` would put it.
"""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from iovsim.config import HubSection, Scenario
from iovsim.errors import TrainingError
from iovsim.files import write_whole
from iovsim.results.manifest import Input
from iovsim.studies.parcel import files_in, settle
from iovsim.studies.shipment import Fetch, Shipment, Shipped

COMMIT = re.compile("[0-9a-f]{40}")


def hub_models(scenario: Scenario) -> list[Shipment]:
    """The models that tasks name, in the driver's cache. One that is not there is left out: the run will say so."""
    found = []
    for section in {t.backbone for t in scenario.tasks if isinstance(t.backbone, HubSection)}:
        folder = _snapshot(section.model, section.revision)
        if folder is not None:
            known = Input(str(folder), folder.name)
            found.append(Shipment(f"{section.model} {section.revision}", known, folder, tuple(files_in(folder)), ""))
    return found


def have_model(shipped: Shipped, fetch: Fetch, node: str) -> None:
    """Has this node have the model. Raises `TrainingError` where it has another commit of the same revision."""
    model, _, revision = shipped.key.partition(" ")
    commit = shipped.input.sha256
    here = _snapshot(model, revision)
    if here is not None and here.name != commit:
        raise TrainingError(
            f"backbone {model!r}, revision {revision!r}: {node} has commit {here.name}, the driver {commit}; run "
            f"iovsim download {model} --revision {revision} on both, or name the commit as the revision."
        )
    if here is None:
        repository = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
        settle((fetch(piece) for piece in shipped.pieces), repository / "snapshots" / commit)
        if not COMMIT.fullmatch(revision):
            write_whole(repository / "refs" / revision, commit.encode())


def _snapshot(model: str, revision: str) -> Path | None:
    """The folder of the model in Hugging Face's cache, called after its commit."""
    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):  # not there, or not the name of a model
        return None
