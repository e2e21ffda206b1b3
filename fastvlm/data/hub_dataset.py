"""A benchmark from the hub: ids first, then the chosen rows only, whose pictures are written as they were published."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastvlm.data.hub_repository import Repository, Split, first_answering
from fastvlm.data.layout import Hub, Layout, Listing
from fastvlm.data.pictures import image_format
from fastvlm.data.published import Identity, Published, Row
from fastvlm.errors import UserError
from fastvlm.progress import progress
from fastvlm.rows import whole_file

ID_COLUMNS = ("id", "file")  # what is read of all rows


def published(name: str, knobs: dict[str, Any], hub: Hub, pictures: Path) -> Published:
    """From the first of the knob `repositories` that answers; pictures of chosen rows are written into the folder `pictures`.

    Raises `UserError` naming repository, what was expected and what was found.
    """
    repository = first_answering(knobs["repositories"])
    layout, splits = _open(repository, hub, knobs)
    listing, places = _list(repository, layout, splits)
    examples = hub.examples(knobs)

    def rows(chosen: list[Identity]) -> dict[Identity, Row]:
        shutil.rmtree(pictures, ignore_errors=True)
        by_split = {split: {places[i][1]: i for i in chosen if places[i][0] == split} for split in splits}
        found = {}
        for split, identities in by_split.items():
            read = splits[split].rows(identities, list(layout.columns.values()))
            for number, row in progress(read, f"{name} {split}", len(identities)):
                identity, where = identities[number], f"{splits[split].where}, row {identities[number]}"
                ours = {our: row[column] for our, column in layout.columns.items()}
                found[identity] = Row(_write_picture(pictures, identity, ours["image"], where), examples(name, identity, ours, where))
        return found

    origin = {"source": "hub", "repository": repository.identity, "commit": repository.commit}
    counts = {"rows": {split: len(table) for split, table in splits.items()}}
    return Published(listing.where, hub.splits(listing, knobs), rows, origin | counts)


def _open(repository: Repository, hub: Hub, knobs: dict[str, Any]) -> tuple[Layout, dict[str, Split]]:
    """The layout that a repository has, and the published splits that are asked for."""
    known = [layout for layout in hub.layouts if layout.splits["test"] in repository.splits]
    if not known:
        expected = " or ".join(sorted({layout.splits["test"] for layout in hub.layouts}))
        raise UserError(f"{repository.identity}: found the splits {', '.join(repository.splits)}; expected {expected}")
    opened = {theirs: repository.split(theirs) for theirs in {layout.splits["test"] for layout in known}}
    layout = max(known, key=lambda layout: _share(layout, opened[layout.splits["test"]]))
    needed = {theirs for ours, theirs in layout.splits.items() if ours == "test" or knobs[ours] != 0}
    splits = {theirs: opened.get(theirs) or repository.split(theirs) for theirs in sorted(needed)}
    for split in splits.values():
        missing = sorted(_columns(layout) - set(split.columns))
        if missing:
            raise UserError(f"{split.where}: no column {', '.join(missing)}; found the columns {', '.join(split.columns)}")
    return layout, splits


def _columns(layout: Layout) -> set[str]:
    return set(layout.columns.values())


def _share(layout: Layout, split: Split) -> float:
    """Of the layout's columns, how many are there, 0..1."""
    return len(_columns(layout) & set(split.columns)) / len(_columns(layout))


def _list(repository: Repository, layout: Layout, splits: dict[str, Split]) -> tuple[Listing, dict[Identity, tuple[str, int]]]:
    """All ids, and for each the published split and the number of its row. Raises `UserError` for an id that occurs twice."""
    columns = {our: layout.columns[our] for our in ID_COLUMNS if our in layout.columns}
    named: dict[Identity, Any] = {}
    places: dict[Identity, tuple[str, int]] = {}
    for split, table in splits.items():
        for number, row in enumerate(table.project(list(columns.values()))):
            identity = _identify(layout, row[columns["id"]], f"{table.where}, row {number}")
            if identity in places:
                raise UserError(f"{table.where}, row {number}: {columns['id']} {identity!r} occurs twice, expected each once")
            named[identity] = {our: row[column] for our, column in columns.items()}
            places[identity] = split, number
    published = {identity: split for identity, (split, _) in places.items()}
    return Listing(f"{repository.identity} ({', '.join(splits)})", layout, published, named), places


def _identify(layout: Layout, value: Any, where: str) -> Identity:
    try:
        identity = layout.identify(value)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if not isinstance(identity, int | str) or identity == "":
        raise UserError(f"{where}: found {value!r} as {layout.columns['id']}, expected a number or text")
    return identity


def _write_picture(folder: Path, identity: Identity, image: Any, where: str) -> Path:
    """Write the bytes as they are; the name ends as their format does."""
    content = image.get("bytes") if isinstance(image, dict) else None
    if not content:
        raise UserError(f"{where}: no bytes of an image; expected a repository that holds its images, not paths or addresses of them")
    path = folder / f"{quote(str(identity), safe='')}.{image_format(content, f'{where}: image')}"
    with whole_file(path) as partial:
        partial.write_bytes(content)
    return path
