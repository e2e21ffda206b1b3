"""An experiment's configuration: every knob with its type, bounds, unit and meaning. Nothing is guessed, nothing has a hidden default."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from fastvlm.config_datasets import Dataset
from fastvlm.config_distillation import Ablations, Distillation
from fastvlm.config_errors import in_one_line
from fastvlm.config_finetuning import EarlyExit, LayerSkip, SsdJoint
from fastvlm.config_judge import Judge
from fastvlm.config_models import Model, TrainedModel
from fastvlm.config_types import Ascending, Count, Device, Dtype, Knobs, Name, Network, Steps, as_tuple
from fastvlm.errors import UserError
from fastvlm.methods import most_skipped

COLDEST = 1e-6  # temperature; far below it there is no room in float32


class NoKnobs(Knobs):
    """A method without knobs."""


class Imitation(EarlyExit):
    """FastVLM: drafts come from a layer's hidden state passed through an imitation network."""

    network: Network = Field(description="transformer: decoder layers with a cache of their own; mlp: no attention")
    layers: Count = Field(description="layers of the network, count")


class DraftVerify(Knobs):
    """Draft & Verify: the drafter is the model without some of its sublayers, which a search chooses."""

    trials: Count = Field(description="sets of sublayers that the search tries, after each sublayer alone, count")
    texts: Count = Field(description="validation texts on which it counts how often the drafter is right, count at most")
    most_skipped: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of the sublayers (attention and feed-forward of each layer) that may be skipped, 0..1"
    )


class Methods(Knobs):
    """The decoding methods that are compared; those left out are not run."""

    baseline: NoKnobs = Field(description="plain decoding, measured against itself")
    generate: NoKnobs | None = Field(default=None, description="transformers' own generate, for reference")
    ssd: EarlyExit | None = None
    ssd_joint: SsdJoint | None = Field(default=None, alias="ssd-joint")
    layerskip: LayerSkip | None = None
    exit_only: NoKnobs | None = Field(default=None, alias="exit-only", description="FastVLM's drafts, never verified: lossy")
    prompt_lookup: NoKnobs | None = Field(default=None, alias="prompt-lookup", description="drafts what followed the same words before")
    draft_verify: DraftVerify | None = Field(default=None, alias="draft-verify", description="drafts with the model, sublayers skipped")
    fastvlm: Imitation | None = None
    oracle: NoKnobs | None = Field(default=None, description="FastVLM's cost with drafts that are always right: the ceiling, not a method")

    @model_validator(mode="after")
    def _has_what_it_exits_with(self) -> Methods:
        for name in ("exit-only", "oracle"):
            if name in self.configured() and not self.fastvlm:
                raise ValueError(f"{name}: found no fastvlm, expected both, as it drafts with FastVLM's imitation network")
        return self

    def configured(self) -> dict[str, Knobs]:
        """Those that are run, by name, in the order of the schema."""
        fields = {field.alias or name: getattr(self, name) for name, field in type(self).model_fields.items()}
        return {name: knobs for name, knobs in fields.items() if knobs is not None}


class Sampling(Knobs):
    """Texts are drawn: each method's are plain decoding's in distribution, and no longer one by one."""

    temperature: float = Field(description="logits are divided by it, above 0; for greedy decoding set sampling to null")
    top_k: int | None = Field(default=None, description="only so many of the likeliest tokens are drawn from, count; null: all")
    top_p: float | None = Field(default=None, description="of these the fewest that have this probability together, 0..1; null: all")

    @field_validator("temperature")
    @classmethod
    def _is_above_zero(cls, value: float) -> float:
        if not COLDEST <= value < float("inf"):
            raise ValueError(f"expected > 0 (at least {COLDEST:g}); for greedy decoding set sampling to null")
        return value

    @field_validator("top_k")
    @classmethod
    def _keeps_a_token(cls, value: int | None) -> int | None:
        if value is not None and value < 1:
            raise ValueError("expected top_k >= 1, or null for all tokens")
        return value

    @field_validator("top_p")
    @classmethod
    def _is_a_share(cls, value: float | None) -> float | None:
        if value is not None and not 0 < value <= 1:
            raise ValueError("expected 0 < top_p <= 1, or null for all tokens")
        return value


class Decoding(Knobs):
    """How decoding is run and timed."""

    draft_lengths: Ascending = Field(description="tokens drafted before a verification; each is measured, the longest bounds the policies")
    policies: Annotated[tuple[Literal["confidence", "context", "goodput"], ...], BeforeValidator(as_tuple)] = Field(
        description="how the draft length is set, besides fixed ones; fitted on validation, for drafters that say how sure they are"
    )
    sampling: Sampling | None = Field(default=None, description="how tokens are drawn; left out or null: greedy decoding")
    timed: bool = Field(description="true: each of these jobs has the machine to itself; false: no time that they note means anything")
    warmup: Steps = Field(description="examples of a dataset decoded before the stopwatch counts, count")
    repeats: Count = Field(description="timed runs of each example, of which the median stands, count; a dataset may have its own")
    choose_on: Count | None = Field(
        default=None, description="validation examples of a dataset that settings are raced on, to choose one, count at most; null: all"
    )
    threads: Count = Field(description="CPU threads that timed stages compute with, count; for small models one is fastest")


class Statistics(Knobs):
    """How tables sum up the examples."""

    resamples: Count = Field(description="bootstrap resamples, count")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(description="confidence level of the intervals, 0..1")
    context_bin: Count = Field(description="narrowest bins of acceptance by context, tokens; doubled for long texts")


class Config(Knobs):
    """One experiment."""

    experiment: Name = Field(description="names results/<experiment> and figures/<experiment>")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of everything that is drawn")
    device: Device = Field(description="where models run; auto: cuda if there is one")
    dtype: Dtype = Field(description="arithmetic of decoding")
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    methods: Methods
    distillation: Distillation
    decoding: Decoding
    statistics: Statistics
    judge: Judge | None = Field(default=None, description="who scores free answers to open questions; left out or null: nobody")
    ablations: Ablations | None = Field(default=None, description="what `snakemake ablations` varies; left out or null: nothing")

    @model_validator(mode="after")
    def _drafts_fit_into_texts(self) -> Config:
        longest, room = max(self.decoding.draft_lengths), max(dataset.max_new_tokens for dataset in self.datasets.values())
        if longest >= room:
            raise ValueError(
                f"decoding.draft_lengths: found {longest}, expected less than the longest text, {room} tokens (max_new_tokens)"
            )
        return self

    @model_validator(mode="after")
    def _nothing_foretells_a_draw(self) -> Config:
        if self.decoding.sampling and self.methods.oracle:
            raise ValueError("methods.oracle: found it beside decoding.sampling, expected one of them, as no draft is right beforehand")
        return self

    @model_validator(mode="after")
    def _exits_are_inside(self) -> Config:
        for name, model in self.models.items():
            for method, knobs in self.methods.configured().items():
                if isinstance(model, TrainedModel) and isinstance(knobs, EarlyExit) and knobs.exit_layers[-1] >= model.layers:
                    raise ValueError(
                        f"methods.{method}.exit_layers: found {knobs.exit_layers[-1]}, expected 1 to {model.layers - 1}, "
                        f"as models.{name} has {model.layers} layers"
                    )
        return self

    @model_validator(mode="after")
    def _has_something_to_skip(self) -> Config:
        if skipping := self.methods.draft_verify:
            for name, model in self.models.items():
                if isinstance(model, TrainedModel) and not most_skipped(skipping.most_skipped, model.layers):
                    raise ValueError(
                        f"methods.draft-verify.most_skipped: found {skipping.most_skipped}, which is none of the {2 * model.layers} "
                        f"sublayers of models.{name}; expected at least {1 / (2 * model.layers):.2g}"
                    )
        return self

    @model_validator(mode="after")
    def _ablations_are_of_what_there_is(self) -> Config:
        if self.ablations and not self.methods.fastvlm:
            raise ValueError("ablations: found without methods.fastvlm, expected both, as they vary its distillation")
        if self.ablations:
            self.ablations.check(self.datasets, self.models, self.distillation)
        return self


def load_config(source: Mapping[str, Any] | Path, name: str = "config") -> Config:
    """The checked configuration of a mapping or of a YAML file; `name` is what errors call the mapping.

    Raises `UserError`: one line with the key, the value found and what was expected.
    """
    if isinstance(source, Path):
        return load_config(_read_yaml(source), str(source))
    try:
        return Config.model_validate(dict(source))
    except ValidationError as error:
        raise UserError(f"{name}: {in_one_line(error, source, Config.model_json_schema())}") from None


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a configuration that can be read ({reason}); expected a YAML file") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: found {type(value).__name__}, expected a YAML mapping")
    return value


def schema_as_yaml() -> str:
    """The JSON schema of a configuration, for editors and readers; `workflow/schemas/config.schema.yaml` is this text."""
    return yaml.safe_dump(Config.model_json_schema(), sort_keys=False, width=140, allow_unicode=True)
