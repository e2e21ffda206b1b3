"""The README's numbers: a block for each published experiment, rendered from the files that were published with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fastvlm.table_file import Record, read_table

COLUMNS = (
    "dataset", "method", "exit layer", "draft length", "decode-only speed-up", "end-to-end speed-up", "acceptance rate",
    "tokens per target pass", "same text as plain decoding", "BLEU-4",
)  # fmt: skip


def update_readme(readme: Path, published: Path) -> None:
    """Replace the block of the experiment published in the folder `published`; a README without its markers is left alone."""
    begin, end = markers(published.name)
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    block = f"{begin}\n{render(published)}\n{end}"
    readme.write_text(pattern.sub(lambda _: block, readme.read_text()))


def markers(experiment: str) -> tuple[str, str]:
    """The lines around an experiment's block."""
    return f"<!-- results of {experiment} -->", f"<!-- end of results of {experiment} -->"


def render(published: Path) -> str:
    """Markdown: for each model a table of the selected settings and what the run says in words; then how it was measured."""
    headline = json.loads((published / "headline.json").read_text())
    seeing = published / "seeing.csv"
    seen = read_table(seeing, "texts_all_right") if seeing.is_file() else []
    blocks = [block for model, datasets in headline["models"].items() for block in _of_model(model, datasets, seen)]
    return "\n\n".join([*blocks, f"Speed-ups with {headline['confidence']:.0%} intervals over test examples. {_machine(headline)}"])


def _of_model(model: str, datasets: dict[str, Any], seen: list[Record]) -> list[str]:
    lines = [_line(dataset, place, method) for dataset, place in datasets.items() for method in place["methods"]]
    rules = tuple("---" for _ in COLUMNS)
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (COLUMNS, rules, *lines))
    remarks = [_remark(dataset, place) for dataset, place in datasets.items()]
    return [f"### `{model}`", table, *remarks, *(_seeing(record) for record in seen if record["model"] == model)]


def _line(dataset: str, place: dict[str, Any], name: str) -> tuple[str, ...]:
    method = place["methods"][name]
    return (
        f"{dataset} (n={place['examples']})",
        name,
        _number(method["exit_layer"], "d"),
        _number(method["draft_length"], "d"),
        _interval(method["decode_speedup"]),
        _interval(method["e2e_speedup"]),
        _number(method["acceptance_rate"]["value"], ".3f"),
        _number(method["tokens_per_target_pass"], ".2f"),
        _number(method["equal_to_baseline"], ".0%"),
        _number(method["bleu_4"], ".3f"),
    )


def _remark(dataset: str, place: dict[str, Any]) -> str:
    words = [f"`{dataset}`:"]
    if "fastvlm_against_ssd" in place:
        words.append(f"{place['fastvlm_against_ssd']};")
    if "plain_decoder_over_generate" in place:
        words.append(f"the plain decoder is {place['plain_decoder_over_generate']['decode']['value']:.2f} times as fast as `generate`.")
    return " ".join(words)


def _machine(headline: dict[str, Any]) -> str:
    provenance = headline["provenance"]
    return f"Machine: {provenance['cpu']}, {provenance['cores']} cores, accelerator: {provenance['accelerator'] or 'none'}."


def _seeing(record: Record) -> str:
    said = []
    if record["mentions"]:
        said.append(f"every named attribute is right in {record['texts_all_right'] / record['examples']:.0%} of {record['examples']} texts")
        said.append(f"{record['mentions_right'] / record['mentions']:.1%} of {record['mentions']} object mentions are right")
        said[-1] += f" ({record['things']} objects drawn)"
    if record.get("answers"):
        said.append(f"{record['answers_right'] / record['answers']:.0%} of {record['answers']} answers state the right fact")
    return f"What plain decoding sees in `{record['dataset']}`: {', and '.join(said) or 'nothing that can be checked'}."


def _interval(interval: dict[str, float | None]) -> str:
    if interval["value"] is None:
        return ""
    return f"{interval['value']:.2f} [{_number(interval['low'], '.2f')}, {_number(interval['high'], '.2f')}]"


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)
