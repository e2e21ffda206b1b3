"""The README's numbers: a block for each published experiment, rendered from the files that were published with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fastvlm.methods import RETRAINED, competes
from fastvlm.table_file import Record, read_table

OURS = "fastvlm"


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
    """Markdown: all methods' means over the datasets; for each model a table of the selected settings and what the run says in words; what
    plain decoding sees; then how it was measured."""
    headline = json.loads((published / "headline.json").read_text())
    models = headline["models"]
    blocks = _means(models, headline.get("geometric_means", {}))  # what was published before there were means has none
    blocks += [block for model, datasets in models.items() for block in _of_model(model, datasets)]
    blocks += _seeing(*(_if_there(published / f"{name}.csv") for name in ("seeing", "chance")))
    return "\n\n".join([*blocks, f"Speed-ups with {headline['confidence']:.0%} intervals over test examples. {_machine(headline)}"])


def _if_there(path: Path) -> list[Record]:
    return read_table(path, "mentions", "answers") if path.is_file() else []


def _means(models: dict[str, Any], means: dict[str, Any]) -> list[str]:
    """A line a method: its geometric mean over each model's datasets, and over all of them; nothing where none was taken."""
    if not means:
        return []
    claims = {name: method["claim"] for places in models.values() for place in places.values() for name, method in place["methods"].items()}
    over = [*models, *([""] if len(models) > 1 else [])]
    header = ("method", "its texts", *(f"`{model}`" if model else "all" for model in over), "end to end")
    lines = [
        (f"`{name}`", claim, *(_mean(means.get(model, {}), name, "decode") for model in over), _mean(means[over[-1]], name, "e2e"))
        for name, claim in claims.items()
        if name in means[over[-1]]
    ]
    return [
        "Geometric mean of the speed-up over the datasets, one-word answers left out; decode-only but for the last column:",
        _table(header, lines),
    ]


def _mean(means: dict[str, Any], name: str, span: str) -> str:
    return _interval(means[name][f"{span}_speedup"]) if name in means else ""


def _of_model(model: str, datasets: dict[str, Any]) -> list[str]:
    """FastVLM in full and the best of its rivals, a line a dataset; what is the same in each is said below."""
    first = next(iter(datasets.values()))["methods"]
    ours = ["decode-only speed-up", "end to end", "setting", "acceptance rate", "tokens per target pass"] if OURS in first else []
    header = ("dataset", *(f"{OURS}: {name}" for name in ours), "best other that keeps the text", "generate")
    lines = [_line(dataset, place) for dataset, place in datasets.items()]
    return [f"### `{model}`", _table(header, lines), *_remarks(datasets)]


def _line(dataset: str, place: dict[str, Any]) -> tuple[str, ...]:
    methods = place["methods"]
    cells = _ours(methods[OURS]) if OURS in methods else ()
    generate = _interval(methods["generate"]["decode_speedup"]) if "generate" in methods else ""
    return (f"{dataset} (n={place['examples']})", *cells, _best_other(methods), generate)


def _best_other(methods: dict[str, Any]) -> str:
    speeds = {name: method["decode_speedup"] for name, method in methods.items() if competes(name) and name != OURS}
    known = {name: speed for name, speed in speeds.items() if speed["value"] is not None}
    best = max(known, key=lambda name: known[name]["value"], default="")
    return f"{best} {_interval(known[best])}" if best else ""


def _table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *lines))


def _ours(method: dict[str, Any]) -> tuple[str, ...]:
    # What was published before there were policies has none.
    length = f"K = {method['draft_length']}" if method.get("policy", "fixed") == "fixed" else method["policy"]
    return (
        _interval(method["decode_speedup"]),
        _interval(method["e2e_speedup"]),
        f"exit {method['exit_layer']}, {length}",
        _number(method["acceptance_rate"]["value"], ".3f"),
        _number(method["tokens_per_target_pass"], ".2f"),
    )


def _remarks(datasets: dict[str, Any]) -> list[str]:
    """Where FastVLM stands against SSD, and whose texts are not plain decoding's, over all datasets."""
    against: dict[str, list[str]] = {}
    other: dict[str, list[str]] = {}
    for dataset, place in datasets.items():
        if "fastvlm_against_ssd" in place:
            against.setdefault(place["fastvlm_against_ssd"], []).append(f"`{dataset}`")
        for name, method in place["methods"].items():
            if method["equal_to_baseline"] is not None and method["equal_to_baseline"] < 1:
                other.setdefault(name, []).append(f"{method['equal_to_baseline']:.0%} in `{dataset}`")
    said = [f"{verdict}: {', '.join(where)}." for verdict, where in against.items()]
    said += [
        f"Texts of `{name}` that are plain decoding's: {', '.join(shares)}; those of all others are." for name, shares in other.items()
    ]
    said += [] if other else [_of_all_texts(datasets)]
    own = [f"`{name}`" for name in RETRAINED if any(name in place["methods"] for place in datasets.values())]
    said += [f"For {' and '.join(own)} plain decoding is that of the method's own backbone."] if own else []
    return [" ".join(said)]


def _of_all_texts(datasets: dict[str, Any]) -> str:
    methods = {name: method for place in datasets.values() for name, method in place["methods"].items()}
    if all(method["equal_to_baseline"] is not None for method in methods.values()):
        return "All texts of all methods are plain decoding's."
    lossy = [f"`{name}`" for name, method in methods.items() if method["claim"] == "lossy"]
    return f"Texts are drawn: they are plain decoding's in distribution{', but for those of ' + ', '.join(lossy) if lossy else ''}."


def _machine(headline: dict[str, Any]) -> str:
    provenance = headline["provenance"]
    others = len(provenance.get("machines", {})) - 1
    more = f", and {others} more, see speedup_by_machine.csv" if others > 0 else ""
    return f"Machine: {provenance['cpu']}, {provenance['cores']} cores, accelerator: {provenance['accelerator'] or 'none'}{more}."


def _seeing(seen: list[Record], blind: list[Record]) -> list[str]:
    """What plain decoding sees, a line a dataset, and what one states who does not see; nothing where no picture is drawn."""
    if not seen:
        return []
    cells = {(record["dataset"], record["model"]): _right(record) for record in seen}
    chance = {record["dataset"]: _right(record) for record in blind}
    models = list(dict.fromkeys(record["model"] for record in seen))
    header = ("dataset", "what is right", *(f"`{model}`" for model in models), "without seeing")
    lines = [
        (dataset, what, *(cells.get((dataset, model), "") for model in models), chance.get(dataset, ""))
        for dataset, what in {record["dataset"]: _what(record) for record in seen}.items()
    ]
    return ["What plain decoding sees, and what one says who knows the wording and the question alone:", _table(header, lines)]


def _what(record: Record) -> str:
    return "things as they are named" if record["mentions"] is not None else "facts as they are stated"


def _right(record: Record) -> str:
    kind = "mentions" if record["mentions"] is not None else "answers"
    return f"{record[f'{kind}_right'] / record[kind]:.0%} of {record[kind]}" if record[kind] else ""


def _interval(interval: dict[str, float | None]) -> str:
    if interval["value"] is None:
        return ""
    return f"{interval['value']:.2f} [{_number(interval['low'], '.2f')}, {_number(interval['high'], '.2f')}]"


def _number(value: float | None, style: str) -> str:
    return "" if value is None else format(value, style)
