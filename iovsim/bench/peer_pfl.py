"""A federated job becomes a run of Apple's pfl: `FederatedAveraging` over a `SimulatedBackend`, one model in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.context import LocalResultMetaData
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.pytorch import PyTorchTensorDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch import nn
from torch.nn import functional

from iovsim.bench.federation import RECIPE, SAMPLES, Federation, Outcome, client_batches, model, start
from iovsim.bench.rows import cost
from iovsim.learning import lora
from iovsim.learning.threads import use_one_thread

NEVER = 10**9


def run(federation: Federation) -> Outcome:
    """pfl's own local training in pfl's own loop; the mean of the changes is added to the model."""
    use_one_thread()
    begun, trained = start(), model()
    kind = _Unevaluated if federation.trains else _Untrained
    rate = torch.optim.SGD([p for p in trained.parameters() if p.requires_grad], lr=1.0)
    inside = kind(_WithLoss(trained), local_optimizer_create=_optimiser, central_optimizer=rate)
    sampler = get_user_sampler("minimize_reuse", list(range(federation.clients)))
    backend = SimulatedBackend(
        training_data=FederatedDataset(_dataset if federation.trains else _no_dataset, sampler), val_data=None
    )
    local = NNTrainHyperParams(
        local_num_epochs=1, local_learning_rate=RECIPE.learning_rate, local_batch_size=RECIPE.batch_size
    )

    def rounds(number: int) -> None:
        lora.load_into(trained, begun)
        size = NNAlgorithmParams(
            central_num_iterations=number,
            evaluation_frequency=NEVER,
            train_cohort_size=federation.per_round,
            val_cohort_size=0,
        )
        FederatedAveraging().run(size, backend, inside, local)

    rounds(1)
    spent = cost(lambda: rounds(federation.rounds))
    return Outcome(spent, lora.taken_from(trained, begun))


class _WithLoss(nn.Module):
    """A classifier with the two methods that pfl asks for."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def loss(self, pictures: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(self.classifier(pictures), labels)

    def metrics(self, pictures: torch.Tensor, labels: torch.Tensor) -> Mapping[str, float]:
        return {}


class _Unevaluated(PyTorchModel):  # type: ignore[misc]  # pfl has no types
    """pfl evaluates every client of the first round; no other framework here does."""

    def evaluate(self, *_: Any, **__: Any) -> Metrics:
        return Metrics()


class _Untrained(_Unevaluated):
    """Clients whose training takes no time and changes nothing."""

    def do_multiple_epochs_of(self, *_: Any, **__: Any) -> LocalResultMetaData:
        return LocalResultMetaData(num_steps=SAMPLES // RECIPE.batch_size)


def _dataset(client: int) -> PyTorchTensorDataset:
    pictures, labels = (torch.cat(parts) for parts in zip(*client_batches(client), strict=True))
    return PyTorchTensorDataset((pictures, labels), user_id=str(client))


def _no_dataset(client: int) -> PyTorchTensorDataset:
    return PyTorchTensorDataset((torch.zeros(SAMPLES),), user_id=str(client))


def _optimiser(parameters: Any, lr: float) -> torch.optim.Optimizer:
    trainable = [p for p in parameters if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=lr, weight_decay=RECIPE.weight_decay)
