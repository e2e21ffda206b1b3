"""NoCaps, validation split: captions of images with things that COCO's captions do not name, in three domains.

Agrawal et al., "nocaps: novel object captioning at scale" (2019). How many images a domain has is as its file says: the numbers on the
benchmark's page are those of an older version.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from fastvlm.data.captions_file import CaptionedImage, read_captions
from fastvlm.data.coco import caption_examples
from fastvlm.data.example import Example
from fastvlm.data.layout import Examples, Hub, Layout, one_split
from fastvlm.data.published import Identity, Published, from_files
from fastvlm.data.records import find
from fastvlm.data.splits import hold_out
from fastvlm.errors import UserError

LOG = logging.getLogger(__name__)
LAYOUTS = (
    # lmms-lab-encoder/NoCaps
    Layout({"id": "image_id", "image": "image", "captions": "annotations_captions"}, {"test": "validation"}),
)


def read_nocaps(path: Path) -> dict[Identity, CaptionedImage]:
    """id -> image, from `nocaps_val_4500_captions.json`; raises `UserError` for a record that is not as expected or has no domain."""
    images = {image.id: image for image in read_captions(path)}
    without = [identity for identity, image in images.items() if not isinstance(image.domain, str) or not image.domain]
    if without:
        raise UserError(
            f"{path}: no 'domain' for {len(without)} of {len(images)} images, such as id {without[0]}; expected in-domain or like it"
        )
    return images


def published(name: str, knobs: dict[str, Any]) -> Published:
    """From the official file, the knob `captions`, and the folder `images`, both inside `folder`."""
    folder = Path(knobs["folder"])
    path = folder / knobs["captions"]
    images = read_nocaps(path)

    def examples(identity: Identity) -> tuple[Example, ...]:
        image = images[identity]
        return caption_examples(name, identity, {"captions": list(image.captions)}, str(path), (image.domain,))

    splits = hold_out(images, knobs["validation"], knobs["train"])
    return from_files(str(path), splits, lambda identity: folder / knobs["images"] / images[identity].file_name, examples, [path])


def _hub_examples(knobs: dict[str, Any]) -> Examples:
    """No repository publishes the domains; they are joined from the official file, the knob `domains`."""
    if not knobs["domains"]:
        LOG.warning("nocaps: the hub does not publish domains; scores by domain need the official file in the key 'domains'")
        return caption_examples
    path = Path(knobs["domains"])
    images = read_nocaps(path)

    def examples(name: str, identity: Identity, row: dict[str, Any], where: str) -> tuple[Example, ...]:
        return caption_examples(name, identity, row, where, (find(str(path), images, identity, where).domain,))

    return examples


HUB = Hub(LAYOUTS, one_split, _hub_examples)
