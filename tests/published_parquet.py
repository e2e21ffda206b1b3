"""Repositories of Parquet files with the columns that the hub's copies of the benchmarks have, small enough for a test."""

from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from datasets import Dataset, Features
from datasets import Image as ImageColumn
from datasets.utils.logging import disable_progress_bar
from PIL import Image

from tests.official_files import GREEK, HAN, nocaps, visdial, vqa

Rows = list[dict[str, Any]]


def picture(number: int, size: int = 8, kind: str = "PNG") -> dict[str, Any]:
    """An image as the hub's Parquet files hold it: the file's bytes and its name. Noise, so that it takes its bytes."""
    content = BytesIO()
    noise = random.Random(number).randbytes(size * size * 3)
    Image.frombytes("RGB", (size, size), noise).save(content, kind)
    return {"bytes": content.getvalue(), "path": f"{number}.{kind.lower()}"}


def publish(folder: Path, splits: dict[str, Rows], group: int = 10) -> Path:
    """Write `data/<split>-00000-of-00001.parquet` with row groups of `group` rows."""
    disable_progress_bar()
    (folder / "data").mkdir(parents=True)
    for split, rows in splits.items():
        features = Features({"image": ImageColumn()}) if "image" in rows[0] else Features()
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        inferred = Dataset.from_dict({name: values for name, values in columns.items() if name != "image"}).features
        path = folder / f"data/{split}-00000-of-00001.parquet"
        Dataset.from_dict(columns, features=Features({**inferred, **features})).to_parquet(path, batch_size=group)
    return folder


def thai_coco(first: int, count: int, size: int = 2) -> Rows:
    """patomp/thai-mscoco-2014-captions; ids are in no order."""
    ids = random.Random(1).sample(range(first, first + count), count)
    return [
        {
            "image": picture(number, size),
            "filepath": "val2014",
            "filename": f"COCO_val2014_{number:012d}.jpg",
            "sentences_raw": [f"Caption {n} of {number}." for n in range(5)],
            "cocoid": number,
            "th_sentences_raw": ["แมวบนพรม"],
        }
        for number in ids
    ]


def korean_coco(first: int, count: int) -> Rows:
    """jp1924/KoreanImageCaptioningDataset."""
    return [{("en_" if key == "sentences_raw" else "") + key: row[key] for key in row} for row in thai_coco(first, count)]


def lmms_coco(numbers: list[int]) -> Rows:
    """lmms-lab-encoder/COCO-Caption: val2014 undivided."""
    names = [f"COCO_val2014_{number:012d}.jpg" for number in numbers]
    return [
        {"question_id": name, "image": picture(number), "answer": [f"Caption of {number}."], "id": 7 * number, "file_name": name}
        for name, number in zip(names, numbers, strict=True)
    ]


def lmms_nocaps(count: int = 6) -> Rows:
    """lmms-lab-encoder/NoCaps, validation."""
    captions = {n: [record["caption"] for record in nocaps(count)["annotations"] if record["image_id"] == n] for n in range(count)}
    return [
        {"image": picture(n), "image_id": n, "image_open_images_id": f"{n:016x}", "annotations_captions": captions[n]} for n in range(count)
    ]


def m4_visdial(count: int = 3) -> Rows:
    """HuggingFaceM4/VisDial, validation: the dialogues of the look-alike of the official file."""
    data = visdial(count)["data"]
    pairs = [[data["questions"][n], data["answers"][n + 1]] for n in range(10)]
    return [
        {
            "caption": dialogue["caption"],
            "dialog": pairs,
            "image_path": f"VisualDialog_val2018/VisualDialog_val2018_{dialogue['image_id']:012d}.jpg",
            "global_image_id": str(dialogue["image_id"]),
            "anns_id": str(number),
            "image": picture(number, kind="JPEG"),
        }
        for number, dialogue in enumerate(data["dialogs"])
    ]


def lmms_mm_vet() -> Rows:
    """lmms-lab-encoder/MMVet: capabilities are one text."""
    answers = {"4": "ocr,math", "left<AND>a cat <OR>right<AND>a cat": "rec,spat", HAN: "rec"}
    named = [{"question_id": f"v1_{n}", "image_source": "web", "image": picture(n), "question": f"question {n}?"} for n in range(3)]
    return [row | {"answer": answer, "capability": answers[answer]} for row, answer in zip(named, answers, strict=True)]


def lmms_llava_wild() -> Rows:
    """lmms-lab-encoder/llava-bench-in-the-wild: its split is called train."""
    return [
        {
            "question_id": n,
            "question": f"question {n}?",
            "image": picture(n // 2),
            "category": category,
            "image_id": f"00{n // 2}",
            "gpt_answer": f"answer {n}",
            "caption": f"context {n // 2} {GREEK}",
        }
        for n, category in enumerate(("conv", "detail", "complex"))
    ]


def lmms_vqa(count: int = 4) -> Rows:
    """lmms-lab-encoder/VQAv2, validation."""
    questions, annotations = vqa(count)
    return [
        {**asked, **annotation, "question_type": "is it", "multiple_choice_answer": "yes", "image": picture(number)}
        for number, (asked, annotation) in enumerate(zip(questions["questions"], annotations["annotations"], strict=True))
    ]


def changed(rows: Rows, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Rows:
    return [change(dict(row)) for row in rows]
