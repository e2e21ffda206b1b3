"""How an imitation network is trained, and which parts of that the ablations vary, one at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, create_model, model_validator

from fastvlm.config_datasets import Dataset
from fastvlm.config_models import Model, TrainedModel
from fastvlm.config_types import Count, Knobs, Name, Network, Positive, Weight, as_tuple


class Distillation(Knobs):
    """How an imitation network is trained on the frozen model."""

    text: Literal["generated", "references"] = Field(description="what it learns on: the model's own text for train images, or references")
    examples: Count = Field(description="train images of each dataset, count at most")
    generation_batch: Count = Field(description="images that the model speaks of at once when it generates the text, count")
    threads: Count = Field(description="CPU threads that generate the text and train a network, count; the weights depend on it")
    epochs: Count = Field(description="passes over the text, count; the best on validation is kept")
    batch: Count = Field(description="examples a step, count")
    learning_rate: Positive = Field(description="peak learning rate of the optimiser (AdamW, Muon for matrices)")
    cosine_weight: Weight = Field(description="weight of 1 - cosine similarity to the last layer's hidden state")
    kl_weight: Weight = Field(description="weight of the KL divergence to the full model's distribution, nats")
    cross_entropy_weight: Weight = Field(description="weight of the cross-entropy of the text's own tokens, nats")
    temperature: Positive = Field(description="softmax temperature of both distributions in the KL divergence")
    seeds: Count = Field(description="networks of each exit layer, count; the first is raced, the others show how much a seed matters")

    @model_validator(mode="after")
    def _has_a_loss(self) -> Distillation:
        if self.cosine_weight == self.kl_weight == self.cross_entropy_weight == 0:
            raise ValueError("cosine_weight, kl_weight and cross_entropy_weight are all 0, expected at least one above 0")
        return self


# The knobs that an ablation may vary: those of the distillation that say what a network becomes, and what it is.
VARIED = ("text", "examples", "epochs", "batch", "learning_rate", "cosine_weight", "kl_weight", "cross_entropy_weight", "temperature")


def _optional(name: str) -> tuple[Any, Any]:
    """A knob of the distillation with its type, bounds and meaning, that may be left out."""
    field = copy(Distillation.model_fields[name])
    field.default = None
    return Distillation.model_fields[name].annotation, field


class _NetworkKnobs(Knobs):
    """The knobs that differ from the experiment's own; no knob: the experiment's own network, to compare with."""

    network: Network = Field(default=None, description="kind of the network, see methods.fastvlm")
    layers: Count = Field(default=None, description="its layers, count")
    exit_layer: Count = Field(default=None, description="the decoder layer whose state it reads")


Variation = create_model("Variation", __base__=_NetworkKnobs, **{name: _optional(name) for name in VARIED})
Names = Annotated[tuple[Name, ...], Field(min_length=1), BeforeValidator(as_tuple)]


class Ablations(Knobs):
    """What each part of the distillation is worth: FastVLM with one factor at a time changed from the experiment's own.

    The experiment's own is that of the smallest of the model's exit layers.
    """

    models: Names = Field(description="models whose networks are varied")
    datasets: Names = Field(description="datasets whose test images are decoded")
    draft_length: Count = Field(description="tokens drafted before a verification, the same for all")
    factors: Annotated[dict[Name, Annotated[dict[Name, Variation], Field(min_length=1)]], Field(min_length=1)] = Field(
        description="factor -> its values by name, each the knobs that it changes"
    )

    def check(self, datasets: Mapping[str, Dataset], models: Mapping[str, Model], default: Distillation) -> None:
        """Raise `ValueError` where they name what the experiment lacks, draft more than a text may hold, exit outside a decoder or
        leave a network nothing to learn."""
        _check_known("models", self.models, models)
        _check_known("datasets", self.datasets, datasets)
        room = max(datasets[name].max_new_tokens for name in self.datasets)
        if self.draft_length >= room:
            raise ValueError(f"ablations.draft_length: found {self.draft_length}, expected less than the longest text, {room} tokens")
        for factor, values in self.factors.items():
            for value, variation in values.items():
                where = f"ablations.factors.{factor}.{value}"
                for name in self.models:
                    _check_depth(where, variation, name, models[name])
                _check_loss(where, variation, default)


def _check_known(key: str, named: Collection[str], known: Collection[str]) -> None:
    for name in named:
        if name not in known:
            raise ValueError(f"ablations.{key}: found '{name}', expected some of {', '.join(known)}")


def _check_depth(where: str, variation: Knobs, name: str, model: Model) -> None:
    """Of a model whose depth is known here; of any other the stages say it."""
    if not isinstance(model, TrainedModel):
        return
    for key, most in (("exit_layer", model.layers - 1), ("layers", model.layers)):
        found = getattr(variation, key)
        if found is not None and found > most:
            raise ValueError(f"{where}.{key}: found {found}, expected 1 to {most}, as models.{name} has {model.layers} layers")


def _check_loss(where: str, variation: Knobs, default: Distillation) -> None:
    varied = variation.model_dump(exclude_none=True, include=set(VARIED))
    try:
        Distillation.model_validate(default.model_dump() | varied)
    except ValidationError as error:
        raise ValueError(f"{where}.{error.errors()[0]['ctx']['error']}") from None
