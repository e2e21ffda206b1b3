"""The datasets of an experiment: drawn scenes, and images with captions on disk."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fastvlm.config_types import Count, CountOrAll, Knobs, Text


class Scenes(Knobs):
    """Drawn scenes, made from the seed."""

    source: Literal["scenes"] = Field(description="drawn scenes")
    task: Literal["caption", "description"] = Field(description="caption: one sentence; description: 40 to 80 words")
    train: Count = Field(description="training images, count")
    validation: Count = Field(description="validation images, count")
    test: Count = Field(description="test images, count")
    max_new_tokens: Count = Field(description="longest text that is decoded, tokens")


class Files(Knobs):
    """A folder of images and a captions file in COCO's format."""

    source: Literal["files"] = Field(description="images and captions on disk")
    task: Literal["caption", "description"] = Field(description="which prompt the model is given")
    folder: Text = Field(description="folder that holds the captions file and the images, path")
    captions: Text = Field(description="captions file in COCO's format, path inside the folder")
    images: Text = Field(description="folder of the images, path inside the folder")
    train: CountOrAll = Field(description="at most so many training images, count; null: all")
    validation: CountOrAll = Field(description="at most so many validation images, count; null: all")
    test: CountOrAll = Field(description="at most so many test images, count; null: all")
    max_new_tokens: Count = Field(description="longest text that is decoded, tokens")


Dataset = Annotated[Scenes | Files, Field(discriminator="source")]
