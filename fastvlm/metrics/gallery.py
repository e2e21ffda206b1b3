"""A few pictures with what FastVLM says of them, token by token: which the draft gave, and where the full model had to step in."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from fastvlm.data.example import Example, read_manifest
from fastvlm.metrics.means import ONE_WORD
from fastvlm.metrics.roles import roles
from fastvlm.metrics.runs import Row, Runs, Setting, read_runs
from fastvlm.rows import write_json
from fastvlm.selection import keep_selected, read_selection

METHOD = "fastvlm"
EXAMPLES = 2  # of each dataset, spread over its test split in the manifest's order: not chosen for how they look
PIXELS = 192  # of a picture's longer side, at most


def write_gallery(rows: Sequence[Path], manifests: Sequence[Path], selection: Path, output: Path) -> None:
    """Write `gallery.json`: the experiment, and a list of examples with `dataset`, `prompt`, `picture` (PNG in base64) and `texts`.

    A text is of a model at the setting that validation chose: `tokens` is a list of [piece, role], and is empty where the text is not plain
    decoding's, whose pieces the rows hold: in half precision it may differ, and where texts are drawn it does. `rows` are decode rows of
    plain decoding and FastVLM. One-word answers are left out, unless there is nothing else.
    """
    runs = read_runs(rows, "test")
    chosen = keep_selected([setting._asdict() for setting in runs], read_selection(selection))
    ours = [setting for record in chosen if (setting := Setting(**record)).method == METHOD]
    shown = {path.stem: _spread(read_manifest(path, "test")) for path in manifests}
    texts = {dataset: of for dataset, of in shown.items() if of[0].task != ONE_WORD}
    examples = [
        _picture(dataset, example) | {"texts": list(_texts(runs, ours, dataset, example))}
        for dataset, of in (texts or shown).items()
        for example in of
    ]
    write_json(output, {"experiment": ours[0].experiment, "examples": examples})


def _spread(examples: Sequence[Example]) -> Sequence[Example]:
    return examples[:: max(1, len(examples) // EXAMPLES)][:EXAMPLES]


def _picture(dataset: str, example: Example) -> dict[str, Any]:
    image, encoded = example.pixels(), BytesIO()
    image.thumbnail((PIXELS, PIXELS))
    image.save(encoded, "PNG")
    return {"dataset": dataset, "example": example.id, "prompt": example.prompt, "picture": b64encode(encoded.getvalue()).decode()}


def _texts(runs: Runs, ours: Sequence[Setting], dataset: str, example: Example) -> Iterator[dict[str, Any]]:
    for setting in (setting for setting in ours if setting.dataset == dataset):
        plain = setting._replace(method="baseline", policy="", exit_layer=None, draft_length=None)
        row, spelt = _row(runs[setting], example), _row(runs[plain], example)
        kept = {name: getattr(setting, name) for name in ("model", "policy", "exit_layer", "draft_length")}
        yield kept | {"passes": len(row["passes"]), "output_tokens": row["output_tokens"], "tokens": by_token(row, spelt)}


def by_token(row: Row, spelt: Row) -> list[tuple[str, str]]:
    """(piece, role) of each token; nothing where the text is not that of plain decoding's row, which has the pieces."""
    if not row["equal_to_baseline"]:
        return []
    return list(zip(spelt["pieces"], roles(row["passes"], row["output_tokens"]), strict=True))


def _row(rows: Sequence[Row], example: Example) -> Row:
    return next(row for row in rows if row["example"] == example.id)
