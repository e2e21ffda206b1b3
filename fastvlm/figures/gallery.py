"""Pictures with FastVLM's texts, each token coloured by where it came from: where drafts hold, and where the full model steps in."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from fastvlm.errors import UserError
from fastvlm.figures.flow import Span, flow
from fastvlm.figures.style import BLACK, GREEN, GREY, VERMILION, setting
from fastvlm.metrics.roles import ACCEPTED, BONUS, CORRECTED, FIRST, UNDRAFTED


class Look(NamedTuple):
    """Of a token: dark, pale or framed, so that roles are told apart in grey too."""

    face: str
    edge: str
    text: str
    line: str
    means: str


LOOKS = {
    ACCEPTED: Look("#c9e4f6", "none", BLACK, "-", "accepted draft"),
    CORRECTED: Look(VERMILION, "none", "white", "-", "correction: the draft was wrong"),
    BONUS: Look("white", GREEN, BLACK, "-", "bonus: all drafts stood"),
    FIRST: Look("#d9d9d9", "none", BLACK, "-", "first token, from prefill"),
    UNDRAFTED: Look("white", GREY, BLACK, ":", "nothing was drafted"),
    "": Look("none", "none", BLACK, "-", ""),
}
# In inches; a page is as wide as A4.
WIDTH, MARGIN, LEFT, GAP, PICTURE = 8.27, 0.25, 1.3, 0.14, 0.62
POINTS, SMALL = 6.5, 5.5
LINE, SMALL_LINE = 0.132, 0.1
LEGEND_COLUMNS = 3
ADVANCE = 0.602 / 72  # of DejaVu Sans Mono's letters, inches by point
ACROSS = 3  # models beside each other
MOST_LINES = 18
AT_SELECTED = "\n(at the setting chosen on validation; a box is a token, the end of the text is not shown)"
NOT_SHOWN = "Not shown: token by token the text is not plain decoding's."


def figure(tables: Path) -> Figure:
    """Reads `gallery.json`: a row an example, a column a model."""
    path = tables / "gallery.json"
    if not path.is_file():
        raise UserError(f"{path}: no such file; run the gallery stage first")
    content = json.loads(path.read_text())
    models = list(dict.fromkeys(text["model"] for example in content["examples"] for text in example["texts"]))
    blocks = [models[begin : begin + ACROSS] for begin in range(0, len(models), ACROSS)]
    height = 1.0 + sum(0.35 + sum(_height(example, block) for example in content["examples"]) for block in blocks)
    axis = _page(height)
    title = f"Experiment {content['experiment']}: what FastVLM says, and which token came from where{AT_SELECTED}"
    axis.text(WIDTH / 2, 0.18, title, ha="center", va="top", fontsize=10, fontweight="bold")
    _legend(axis, 0.66)
    top = 0.95
    for block in blocks:
        for model, x in zip(block, _columns(block), strict=True):
            axis.text(x, top + 0.14, model, fontsize=8, fontweight="bold", va="center")
        top += 0.35
        for example in content["examples"]:
            _example(axis, top, example, block)
            top += _height(example, block)
    return axis.figure


def _page(height: float) -> Axes:
    """An axis over the whole page, in inches from its upper left corner."""
    drawn = Figure(figsize=(WIDTH, height))
    # Not when it is made: saving would then bring the style's layout back, for the second file.
    drawn.set_layout_engine("none")
    FigureCanvasAgg(drawn)
    axis = drawn.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, WIDTH), ylim=(height, 0), autoscale_on=False)
    axis.set_axis_off()
    return axis


def _columns(block: Sequence[str]) -> list[float]:
    """Where the text of each model begins."""
    return [MARGIN + LEFT + index * (_column(block) + GAP) for index in range(len(block))]


def _column(block: Sequence[str]) -> float:
    return (WIDTH - 2 * MARGIN - LEFT + GAP) / len(block) - GAP


def _letters(inches: float, points: float) -> int:
    return int(inches / (ADVANCE * points))


def _height(example: dict[str, Any], block: Sequence[str]) -> float:
    texts = [len(_lines(text, block)) for text in example["texts"] if text["model"] in block]
    return max(PICTURE + 0.1 + SMALL_LINE * (1 + len(_prompt(example))), LINE * (1.4 + max(texts, default=0))) + 0.16


def _lines(text: dict[str, Any], block: Sequence[str]) -> list[list[Span]]:
    return flow(text["tokens"] or [(NOT_SHOWN, "")], _letters(_column(block), POINTS), MOST_LINES)


def _prompt(example: dict[str, Any]) -> list[list[Span]]:
    return flow([(example["prompt"], "")], _letters(LEFT - GAP, SMALL), 3)


def _example(axis: Axes, top: float, example: dict[str, Any], block: Sequence[str]) -> None:
    axis.plot([MARGIN, WIDTH - MARGIN], [top - 0.06] * 2, color="#e3e3e3", linewidth=0.6)
    image = Image.open(BytesIO(b64decode(example["picture"])))
    wide, high = (PICTURE * side / max(image.size) for side in image.size)
    axis.imshow(image, extent=(MARGIN, MARGIN + wide, top + high, top), interpolation="nearest", aspect="auto")
    below = top + PICTURE + 0.1
    axis.text(MARGIN, below, example["dataset"], fontsize=SMALL + 0.5, fontweight="bold", va="center")
    for number, line in enumerate(_prompt(example), start=1):
        words = " ".join(span.text for span in line)
        axis.text(MARGIN, below + number * SMALL_LINE, words, fontsize=SMALL, family="monospace", color="#505050", va="center")
    for text in example["texts"]:
        if text["model"] in block:
            _text(axis, _columns(block)[block.index(text["model"])], top, text, block)


def _text(axis: Axes, x: float, top: float, text: dict[str, Any], block: Sequence[str]) -> None:
    passes = text["passes"]
    said = f"{', '.join(setting(text))}: {text['output_tokens']} tokens, {passes} {'pass' if passes == 1 else 'passes'}"
    axis.text(x, top + 0.05, said, fontsize=SMALL, color="#505050", va="center")
    for number, line in enumerate(_lines(text, block)):
        for span in line:
            _box(axis, x + span.column * ADVANCE * POINTS, top + LINE * (1.6 + number), span)


def _box(axis: Axes, x: float, y: float, span: Span) -> None:
    """A token's letters on its ground; `x` is its left edge, `y` its middle."""
    look, width = LOOKS[span.role], len(span.text) * ADVANCE * POINTS
    frame = {"facecolor": look.face, "edgecolor": look.edge, "linestyle": look.line, "linewidth": 0.6}
    axis.add_patch(Rectangle((x + 0.006, y - 0.055), width - 0.012, 0.11, **frame))
    axis.text(x, y, span.text, fontsize=POINTS, family="monospace", color=look.text, va="center", parse_math=False)


def _legend(axis: Axes, y: float) -> None:
    across = (WIDTH - 2 * MARGIN) / LEGEND_COLUMNS
    for index, (role, look) in enumerate((role, look) for role, look in LOOKS.items() if role):
        row, column = divmod(index, LEGEND_COLUMNS)
        x, below = MARGIN + column * across, y + row * 1.4 * LINE
        _box(axis, x, below, Span(0, "token", role))
        axis.text(x + 6 * ADVANCE * POINTS, below, look.means, fontsize=POINTS, va="center")
