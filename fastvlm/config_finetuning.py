"""The methods that leave the decoder at a layer and draft from its bare state: on the model as it is, and on one fine-tuned for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fastvlm.config_types import Ascending, Count, Knobs, Positive, Share


class EarlyExit(Knobs):
    """Plain self-speculative decoding: drafts come from the bare hidden state of a layer."""

    exit_layers: Ascending = Field(description="decoder layers that the drafter runs; each is tried, validation picks one")


class Lora(Knobs):
    """Low-rank adapters beside the linear maps of the decoder's layers."""

    rank: Count = Field(description="rank of each adapter")
    alpha: Positive = Field(description="what an adapter adds is scaled by alpha / rank")


class Finetuning(Knobs):
    """How a backbone is fine-tuned on the references of the train splits."""

    examples: Count = Field(description="train images of each dataset, count at most")
    steps: Count = Field(description="training steps, count")
    batch: Count = Field(description="examples a step, count at most")
    batch_tokens: Count = Field(description="tokens a step, padding included, count at most; what longer texts leave of a batch is dropped")
    learning_rate: Positive = Field(description="peak learning rate of AdamW")
    final: Share = Field(description="where the learning rate's cosine ends, as a share of its peak, 0..1")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        description="arithmetic of the forward pass; auto: bfloat16 on a GPU that multiplies in it, and for weights in half precision"
    )
    threads: Count = Field(description="CPU threads of a fine-tuning, count; the weights depend on it")
    checkpoint_every: Count = Field(description="steps between the checkpoints that an interrupted fine-tuning resumes from, count")
    lora: Lora | None = Field(
        description="adapters that learn in checkpoints of the hub or a folder, merged when saved; null: all weights of the language model "
        "learn, in float32, as those of models trained here always do"
    )


class SsdJoint(EarlyExit):
    """SSD on a backbone that is fine-tuned with exit losses: references through its own final norm and LM head."""

    exit_weight: Positive = Field(description="weight of the losses at the exit layers together; the last layer's has 1")
    training: Finetuning


class LayerSkip(EarlyExit):
    """SSD on a backbone that is fine-tuned as LayerSkip is (arXiv 2404.16710)."""

    dropout: Share = Field(description="probability that a text skips the last layer in training, 0..1; exponentially less before it")
    exit_scale: Positive = Field(description="scale of the losses before the last layer, e_scale in the paper")
    curriculum: Literal["rotational", "gradual"] = Field(
        description="which layers' losses count: rotational: in turn; gradual: from the last to the first, all after half of the steps"
    )
    rotation: Count | None = Field(description="rotational: one in so many layers counts in a step, count; gradual: null")
    training: Finetuning

    @model_validator(mode="after")
    def _turns_if_rotational(self) -> LayerSkip:
        if (self.curriculum == "rotational") != (self.rotation is not None):
            raise ValueError(
                f"rotation: found {self.rotation}, expected a count for the rotational curriculum and null for the gradual one"
            )
        return self
