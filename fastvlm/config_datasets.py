"""The datasets of an experiment: drawn scenes, and benchmarks that are read from files or from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from fastvlm.config_types import Commit, Count, CountOrAll, Knobs, Repository, Steps, Text, as_tuple

Shards = Annotated[int, Field(ge=1, description="jobs that a method's decoding is split into, count; its results do not depend on it")]
Repeats = Annotated[Count | None, Field(description="its own decoding.repeats, as short texts need more; left out or null: those of all")]
RowsOrAll = Annotated[int | None, Field(ge=0)]


class Scenes(Knobs):
    """Drawn scenes, made from the seed."""

    source: Literal["scenes"] = Field(description="drawn scenes")
    task: Literal["caption", "novel", "dialogue", "question", "description", "vqa"] = Field(
        description="caption: one sentence; novel: captions, also of colours and shapes never seen together in training; dialogue: ten "
        "rounds, each an example; question: answered in a sentence; description: 40 to 80 words; vqa: answered in one word"
    )
    train: Steps = Field(description="training examples, count; 0: none, as the task is tested only")
    validation: Steps = Field(description="validation examples, count; 0: settings are chosen on the other datasets")
    test: Count = Field(description="test examples, count")
    max_new_tokens: Count = Field(description="longest text that is decoded, tokens")
    shards: Shards = 1
    repeats: Repeats = None


class Read(Knobs):
    """A dataset that is read, not drawn; `OFFICIAL` are its keys that name official files."""

    OFFICIAL: ClassVar[tuple[str, ...]] = ()

    max_new_tokens: Count = Field(description="longest text that is decoded, tokens")
    shards: Shards = 1
    repeats: Repeats = None

    def inputs(self) -> list[Path]:
        """The files on disk that the examples are made from, images apart."""
        names = [getattr(self, key) for key in self.OFFICIAL]
        return [Path(getattr(self, "folder", "."), name) for name in names if name]


class Splits(Read):
    """How many rows of a benchmark that publishes its own splits; a sample is drawn by the seed."""

    train: RowsOrAll = Field(description="at most so many training images, count; 0: none; null: all")
    validation: RowsOrAll = Field(
        description="at most so many validation images, count; 0: settings are chosen on other datasets; null: all"
    )
    test: CountOrAll = Field(description="at most so many test images, count; null: all")


class OneSplit(Read):
    """How many rows of a benchmark that publishes one split; a dialogue is one row, of ten examples."""

    train: Steps = Field(description="rows that are held out for training, count; they are not in test")
    validation: Steps = Field(description="rows that are held out for validation, count; 0: settings are chosen on other datasets")
    test: CountOrAll = Field(description="at most so many of the other rows, drawn by the seed, count; null: all")


class Files(Read):
    """Files on disk: those that a benchmark's authors publish, or a captions file."""

    source: Literal["files"] = Field(description="files on disk")
    folder: Text = Field(description="folder that holds files and images, path")
    images: Text = Field(description="folder of the images, path inside the folder")


class CaptionsFiles(Files, Splits):
    """A folder of images and a captions file in COCO's format."""

    OFFICIAL = ("captions",)
    benchmark: Literal["captions"] = Field(description="images and captions of one's own")
    task: Literal["caption", "description"] = Field(description="which prompt the model is given")
    captions: Text = Field(description="captions file in COCO's format, path inside the folder")


class CocoFiles(Files, Splits):
    """MS-COCO in Karpathy's splits; `images` holds val2014 and, for training, train2014."""

    OFFICIAL = ("karpathy",)
    benchmark: Literal["coco"] = Field(description="MS-COCO captions")
    karpathy: Text = Field(description="dataset_coco.json, path inside the folder")


class NoCapsFiles(Files, OneSplit):
    OFFICIAL = ("captions",)
    benchmark: Literal["nocaps"] = Field(description="NoCaps, validation split")
    captions: Text = Field(description="nocaps_val_4500_captions.json, path inside the folder")


class VisDialFiles(Files, OneSplit):
    OFFICIAL = ("dialogues", "relevance")
    benchmark: Literal["visdial"] = Field(description="VisDial v1.0, validation split")
    dialogues: Text = Field(description="visdial_1.0_val.json, path inside the folder")
    relevance: Text | None = Field(description="visdial_1.0_val_dense_annotations.json, path inside the folder; null: no NDCG")


class MMVetFiles(Files, OneSplit):
    OFFICIAL = ("questions",)
    benchmark: Literal["mm-vet"] = Field(description="MM-Vet")
    questions: Text = Field(description="mm-vet.json, path inside the folder")


class LlavaWildFiles(Files, OneSplit):
    OFFICIAL = ("questions", "context", "answers")
    benchmark: Literal["llava-wild"] = Field(description="LLaVA-Bench in the wild")
    questions: Text = Field(description="questions.jsonl, path inside the folder")
    context: Text = Field(description="context.jsonl, path inside the folder")
    answers: Text = Field(description="answers_gpt4.jsonl, path inside the folder")


class VQAFiles(Files, OneSplit):
    """VQAv2; `images` is val2014."""

    OFFICIAL = ("questions", "annotations")
    benchmark: Literal["vqav2"] = Field(description="VQAv2, validation split")
    questions: Text = Field(description="v2_OpenEnded_mscoco_val2014_questions.json, path inside the folder")
    annotations: Text = Field(description="v2_mscoco_val2014_annotations.json, path inside the folder")


class HubRepository(Knobs):
    """A place on the hub."""

    id: Repository = Field(description="repository on the hub, owner/name")
    revision: Commit | None = Field(description="commit that is read, 40 hexadecimal digits; null: the newest, with a warning")


class Hub(Read):
    """Parquet files of the Hugging Face hub, of which only the rows that are drawn are fetched with their images."""

    source: Literal["hub"] = Field(description="read from the Hugging Face hub")
    repositories: Annotated[tuple[HubRepository, ...], Field(min_length=1), BeforeValidator(as_tuple)] = Field(
        description="where it may be; the first that answers is read"
    )


class CocoHub(Hub, Splits):
    OFFICIAL = ("karpathy",)
    benchmark: Literal["coco"] = Field(description="MS-COCO captions, Karpathy's splits")
    karpathy: Text | None = Field(description="dataset_coco.json, path, for repositories that publish val2014 undivided; null: not needed")


class NoCapsHub(Hub, OneSplit):
    OFFICIAL = ("domains",)
    benchmark: Literal["nocaps"] = Field(description="NoCaps, validation split")
    domains: Text | None = Field(description="nocaps_val_4500_captions.json, path, for the domains; null: no scores by domain")


class VisDialHub(Hub, OneSplit):
    OFFICIAL = ("dialogues", "relevance")
    benchmark: Literal["visdial"] = Field(description="VisDial v1.0, validation split")
    dialogues: Text | None = Field(description="visdial_1.0_val.json, path, for the candidates; null: no ranking")
    relevance: Text | None = Field(description="visdial_1.0_val_dense_annotations.json, path; null: no NDCG")

    @model_validator(mode="after")
    def _relevance_is_of_candidates(self) -> VisDialHub:
        if self.relevance and not self.dialogues:
            raise ValueError("relevance: found a path, expected null while dialogues, which holds the candidates, is null")
        return self


class QuestionsHub(Hub, OneSplit):
    benchmark: Literal["mm-vet", "llava-wild", "vqav2"] = Field(description="MM-Vet, LLaVA-Bench in the wild, or VQAv2's validation split")


AnyFiles = Annotated[
    CaptionsFiles | CocoFiles | NoCapsFiles | VisDialFiles | MMVetFiles | LlavaWildFiles | VQAFiles, Field(discriminator="benchmark")
]
AnyHub = Annotated[CocoHub | NoCapsHub | VisDialHub | QuestionsHub, Field(discriminator="benchmark")]
Dataset = Annotated[Scenes | AnyFiles | AnyHub, Field(discriminator="source")]
