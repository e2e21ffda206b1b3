"""Small look-alikes of the files that the benchmarks' authors publish, and what is read of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fastvlm.data.benchmarks import read_examples
from fastvlm.data.example import Example
from fastvlm.errors import UserError
from tests.workspace import PROJECT

SHARED = PROJECT / "../shared/data"
SPLITS = {"train": 0, "validation": 0, "test": None}
GREEK, HAN = "μια γάτα σε χαλί", "一只猫在垫子上"  # captions in other scripts


def karpathy(test: int = 6) -> dict[str, Any]:
    """dataset_coco.json with two images each of train, restval and val, and so many of test."""
    words = ["train", "train", "restval", "restval", "val", "val", *["test"] * test]
    return {"dataset": "coco", "images": [_karpathy_image(100 + number, word) for number, word in enumerate(words)]}


def _karpathy_image(cocoid: int, word: str) -> dict[str, Any]:
    year = "train2014" if word == "train" else "val2014"
    sentences = [{"tokens": ["a"], "raw": f" Caption {n} of {cocoid}. ", "imgid": 0, "sentid": n} for n in range(5)]
    named = {"filepath": year, "filename": f"COCO_{year}_{cocoid:012d}.jpg", "split": word}
    return {"cocoid": cocoid, "imgid": 0, "sentids": [], "sentences": sentences, **named}


def nocaps(images: int = 6) -> dict[str, Any]:
    """nocaps_val_4500_captions.json; the first image's first caption is Greek, its second Chinese."""
    domains = ("in-domain", "near-domain", "out-domain")
    texts = {(0, 0): GREEK, (0, 1): HAN}
    return {
        "images": [{"id": n, "open_images_id": f"{n:016x}", "file_name": f"{n:016x}.jpg", "domain": domains[n % 3]} for n in range(images)],
        "annotations": [
            {"id": 10 * n + k, "image_id": n, "caption": texts.get((n, k), f"Caption {k} of {n}.")}
            for n in range(images)
            for k in range(10)
        ],
    }


def visdial(dialogues: int = 3) -> dict[str, Any]:
    """visdial_1.0_val.json: the answer of round r (from 1) of image i is candidate r, 'answer r'."""
    rounds = [{"question": n, "answer": n + 1, "answer_options": list(range(100)), "gt_index": n + 1} for n in range(10)]
    dialogs = [{"image_id": 185565 + n, "caption": f"caption {n}", "dialog": rounds} for n in range(dialogues)]
    texts = {"questions": [f"question {n + 1}" for n in range(10)], "answers": [f"answer {n}" for n in range(100)]}
    return json.loads(json.dumps({"version": "1.0", "split": "val2018", "data": {**texts, "dialogs": dialogs}}))


def relevance(dialogues: int = 3) -> list[dict[str, Any]]:
    """visdial_1.0_val_dense_annotations.json: round n + 1 of the n-th dialogue."""
    return [{"image_id": 185565 + n, "round_id": n + 1, "gt_relevance": [1.0, 0.5, *[0.0] * 98]} for n in range(dialogues)]


def mm_vet() -> dict[str, Any]:
    """mm-vet.json; the second answer has alternatives of parts, with the spaces of the published file."""
    return {
        "v1_0": _mm_vet(0, "4", "ocr", "math"),
        "v1_1": _mm_vet(1, "left<AND>a cat <OR>right<AND>a cat", "rec", "spat"),
        "v1_2": _mm_vet(2, HAN, "rec"),
    }


def _mm_vet(number: int, answer: str, *capabilities: str) -> dict[str, Any]:
    asked = {"question": f"question {number}?", "answer": answer, "capability": list(capabilities)}
    return {"imagename": f"v1_{number}.png", "imagesource": "web", **asked}


def llava_wild() -> dict[str, list[dict[str, Any]]]:
    """The three files; two questions about the first picture."""
    categories, images = ("conv", "detail", "complex"), ("001.jpg", "001.jpg", "002.jpg")
    return {
        "questions.jsonl": [{"question_id": n, "image": images[n], "text": f"question {n}?", "category": categories[n]} for n in range(3)],
        "context.jsonl": [{"id": name[:3], "image": name, "caption": f"context of {name}"} for name in ("001.jpg", "002.jpg")],
        "answers_gpt4.jsonl": [{"question_id": n, "prompt": "", "text": f"answer {n}", "model_id": "gpt-4-0314"} for n in range(3)],
    }


def vqa(questions: int = 4) -> tuple[dict[str, Any], dict[str, Any]]:
    """Questions and annotations."""
    ids = [262148000 + n for n in range(questions)]
    answers = [{"answer": "yes" if k < 7 else "no", "answer_confidence": "yes", "answer_id": k + 1} for k in range(10)]
    annotations = [{"question_id": i, "image_id": 262148, "answer_type": "yes/no", "answers": answers} for i in ids]
    asked = {"questions": [{"question_id": i, "image_id": 262148, "question": f"is it {i}?"} for i in ids]}
    return asked, json.loads(json.dumps({"annotations": annotations}))


def write(folder: Path, files: dict[str, Any], images: Iterable[str] = ()) -> Path:
    """Write JSON, or JSON lines where the name ends so, and images of distinct colours."""
    for name, content in files.items():
        lines = [json.dumps(record, ensure_ascii=False) for record in (content if name.endswith(".jsonl") else [content])]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines), encoding="utf-8")
    for number, name in enumerate(images):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (40 * number % 256, number // 6 % 256, 0)).save(folder / name)
    return folder


def read(folder: Path, **knobs: Any) -> list[Example]:
    """The examples of a `files` dataset called 'own'; the manifest would lie in `folder`."""
    return list(read_examples("own", {"source": "files", "folder": str(folder), **SPLITS, **knobs}, 1, folder / "own.jsonl"))


def refused(folder: Path, line: str, **knobs: Any) -> None:
    """Reading must fail with one line that has `line` in it."""
    with pytest.raises(UserError) as error:
        read(folder, **knobs)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def shared(name: str) -> Path:
    """A folder of real data beside the project; the test is skipped where there is none."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"needs {folder}, real data that does not belong to the project")
    return folder
