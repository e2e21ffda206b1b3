"""The table that one reads first: a line a model, dataset and method, at the setting that validation chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fastvlm.errors import UserError
from fastvlm.metrics import change, ranking, scores
from fastvlm.metrics.speed import SPEEDS
from fastvlm.metrics.verdicts import compare, interval_of
from fastvlm.selection import choice, keep_selected, read_selection
from fastvlm.table_file import KEY_COLUMNS, Record, read_table, write_table

ENDS = ("", "_low", "_high")
# BLEU-1 and BLEU-4, which papers give, side by side.
SCORES = tuple(sorted(scores.COLUMNS, key=lambda column: column.startswith(("bleu_2", "bleu_3"))))
RANKED = tuple(column for column in ranking.COLUMNS if column not in KEY_COLUMNS)
DRAFTED = (*(f"acceptance_rate{end}" for end in ENDS), "tokens_per_target_pass")
CHANCE = ("chance_metric", "chance_score", "against_chance")
COLUMNS = (
    *KEY_COLUMNS,
    "task",
    "mean_output_tokens",
    *SPEEDS,
    "verdict",
    "claim",
    *DRAFTED,
    "equal_to_baseline",
    *change.CHANGE,
    *CHANCE,
    *SCORES,
    *RANKED,
)


def write_comparison(tables: Path, output: Path) -> None:
    """Write `comparison.csv` from the finished tables in the folder `tables`.

    Scores of ranked candidates and of chance stand in plain decoding's line alone, as no method changes them; the change of the main
    score against plain decoding's is empty where a method keeps that text by law.
    Raises `UserError` where a table, or a selected setting's line in it, is missing.
    """
    chosen = keep_selected(
        read_table(tables / "speedup.csv", "output_tokens", *SPEEDS, "verdict"), read_selection(tables / "selection.csv")
    )
    drafts = {choice(record): record for record in read_table(tables / "acceptance.csv", *DRAFTED)}
    texts = {choice(record): record for record in read_table(tables / "quality.csv", "task", *scores.COLUMNS)}
    changes = {choice(record): record for record in read_table(tables / "quality_change.csv", *change.CHANGE)}
    ranks = {_place(record): record for record in read_table(tables / "ranking.csv", *ranking.COLUMNS)}
    blind = {record["dataset"]: record for record in read_table(tables / "chance.csv", *scores.COLUMNS)}
    lines = []
    for record in chosen:
        if choice(record) not in texts:
            raise UserError(f"quality.csv: no line for {'/'.join(choice(record)[:3])} at the selected setting; run the quality stage again")
        line = _line(record, drafts.get(choice(record), {}), texts[choice(record)])
        line |= _take(change.CHANGE, changes.get(choice(record), {}))
        if record["method"] == "baseline":
            line |= _take(RANKED, ranks.get(_place(record), {})) | _against_chance(line, blind.get(record["dataset"]))
        lines.append(line)
    write_table(output, COLUMNS, lines)


def _line(speed: Record, drafts: Record, texts: Record) -> Record:
    return {
        **_take((*KEY_COLUMNS, *SPEEDS, "verdict", "equal_to_baseline", "claim"), speed),
        **_take(("task", *SCORES), texts),
        **_take(DRAFTED, drafts),
        "mean_output_tokens": speed["output_tokens"] / speed["examples"],
    }


def _against_chance(line: Record, blind: Record | None) -> Record:
    name = next((name for name in scores.MAIN_SCORES if line[name] is not None), None)
    if name is None or blind is None:
        return {"chance_metric": name}
    said = compare(interval_of(line, name), interval_of(blind, name), (line["model"], "chance"))
    return {"chance_metric": name, "chance_score": blind[name], "against_chance": said}


def _place(record: Record) -> tuple[str, str]:
    return record["model"], record["dataset"]


def _take(columns: Sequence[str], record: Mapping) -> Record:
    return {column: record.get(column) for column in columns}
