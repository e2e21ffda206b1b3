"""The models of an experiment: small ones that it trains, and checkpoints that exist already, on the hub or on disk."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from fastvlm.config_types import (
    Ascending,
    Commit,
    Count,
    Device,
    Dtype,
    Knobs,
    Positive,
    Repository,
    Share,
    Steps,
    Task,
    Text,
    as_tuple,
    check_multiple,
)


class TrainingStage(Knobs):
    """One stage of a training on sentences."""

    layers: Count = Field(description="decoder layers of the model in this stage, count; new ones begin as identities")
    tasks: Annotated[tuple[Task, ...], Field(min_length=1), BeforeValidator(as_tuple)] | None = Field(
        default=None, description="tasks whose examples are used; left out: all"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(description="share of these examples that is used, the shortest, 0..1")
    steps: Steps = Field(description="training steps, count")
    learning_rate: Positive = Field(description="peak learning rate of the optimiser (AdamW, Muon for matrices)")
    final: Share = Field(description="where the learning rate's cosine ends, as a share of its peak, 0..1")


class Training(Knobs):
    """How a small model learns to see and speak."""

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        description="arithmetic of the forward pass; weights stay float32; auto: bfloat16 on a GPU that multiplies in it, else float32"
    )
    threads: Count = Field(description="CPU threads of a training, count; the weights depend on it")
    batch: Count = Field(description="examples a step, count at most")
    batch_tokens: Count = Field(description="tokens a step, padding included, count at most; what longer texts leave of a batch is dropped")
    word_steps: Steps = Field(description="steps in which the vision tower alone learns which words an image calls for, count")
    word_tasks: Annotated[tuple[Task, ...], Field(min_length=1), BeforeValidator(as_tuple)] = Field(
        description="tasks whose texts it learns from: those that name what is seen"
    )
    word_rate: Positive = Field(description="peak learning rate of these steps")
    vision_rate: Share = Field(description="learning rate of the vision tower in the stages, as a share of the rest's, 0..1")
    checkpoint_every: Count = Field(description="steps between the checkpoints that an interrupted training resumes from, count")
    stages: Annotated[tuple[TrainingStage, ...], Field(min_length=1), BeforeValidator(as_tuple)] = Field(
        description="training on sentences, stage after stage; the last has all layers of the model"
    )

    @model_validator(mode="after")
    def _only_grows(self) -> Training:
        for number, (before, stage) in enumerate(pairwise(self.stages), start=1):
            check_multiple(f"stages[{number}].layers", stage.layers, f"stages[{number - 1}].layers", before.layers)
        return self


class TrainedModel(Knobs):
    """A small model that the experiment trains, of any family."""

    source: Literal["train"] = Field(description="trained by the experiment on its own training splits")
    vocabulary: Annotated[int, Field(ge=260)] = Field(description="size of the byte-level BPE vocabulary, tokens")
    image_size: Count = Field(description="side of the image that the vision tower sees, pixels; a multiple of `patch_size`")
    patch_size: Count = Field(description="side of an image patch, pixels")
    vision_layers: Count = Field(description="layers of the vision tower, count")
    vision_hidden: Count = Field(description="width of the vision tower; a multiple of `heads`")
    layers: Annotated[int, Field(ge=2)] = Field(description="decoder layers, count")
    hidden: Count = Field(description="width of the decoder; a multiple of `heads`, for llava of 2 * `heads`")
    intermediate: Count = Field(description="width of the decoder's feed-forward layers")
    heads: Count = Field(description="attention heads, count")
    training: Training

    @model_validator(mode="after")
    def _sizes_fit(self) -> TrainedModel:
        check_multiple("image_size", self.image_size, "patch_size", self.patch_size)
        check_multiple("vision_hidden", self.vision_hidden, "heads", self.heads)
        if self.training.stages[-1].layers != self.layers:
            found = self.training.stages[-1].layers
            raise ValueError(f"training.stages: found {found} layers in the last, expected the model's layers = {self.layers}")
        return self


class TrainedLlava(TrainedModel):
    """CLIP vision tower, projector, Llama decoder."""

    family: Literal["llava"] = Field(description="architecture: LLaVA-1.5")

    @model_validator(mode="after")
    def _turns_pairs(self) -> TrainedLlava:
        # Rotary position embeddings turn pairs of coordinates.
        check_multiple("hidden", self.hidden, "2 * heads", 2 * self.heads)
        return self


class TrainedBlip2(TrainedModel):
    """Vision tower, Q-Former as wide as it, and OPT, or T5 whose encoder is as deep as its decoder."""

    family: Literal["blip2-opt", "blip2-t5"] = Field(description="architecture: BLIP-2 over OPT or over T5")
    query_tokens: Count = Field(description="queries of the Q-Former, each of which becomes one image token, count")
    qformer_layers: Count = Field(description="layers of the Q-Former, count")

    @model_validator(mode="after")
    def _splits_into_heads(self) -> TrainedBlip2:
        check_multiple("hidden", self.hidden, "heads", self.heads)
        return self


class ExitLayers(Knobs):
    """Exit layers of one model, where its depth asks for others than those of `methods`; a method left out keeps its own."""

    ssd: Ascending | None = Field(default=None, description="decoder layers that plain self-speculation runs")
    ssd_joint: Ascending | None = Field(default=None, alias="ssd-joint", description="decoder layers that SSD on its own backbone runs")
    layerskip: Ascending | None = Field(default=None, description="decoder layers that LayerSkip runs")
    fastvlm: Ascending | None = Field(default=None, description="decoder layers that FastVLM runs")


class GivenModel(Knobs):
    """A checkpoint that exists already, in transformers' format; what is left out is the experiment's."""

    dtype: Dtype | None = Field(default=None, description="arithmetic of this model; left out: the experiment's")
    device: Device | None = Field(default=None, description="where this model runs; left out: the experiment's")
    exit_layers: ExitLayers | None = Field(default=None, description="exit layers of this model; left out: the methods'")


class HubModel(GivenModel):
    """A checkpoint on the Hugging Face hub."""

    source: Literal["hub"] = Field(description="fetched from the Hugging Face hub")
    id: Repository = Field(description="repository on the hub, owner/name")
    revision: Commit | None = Field(description="commit that is fetched, 40 hexadecimal digits; null: the newest, with a warning")


class FolderModel(GivenModel):
    """A checkpoint on disk."""

    source: Literal["folder"] = Field(description="a checkpoint that exists already")
    path: Text = Field(description="folder of the checkpoint, path")


AnyTrained = Annotated[TrainedLlava | TrainedBlip2, Field(discriminator="family")]
Model = Annotated[AnyTrained | HubModel | FolderModel, Field(discriminator="source")]
