"""Image files -> RGB pixels: every mode that benchmarks hold is converted, and what is too large is refused before it is decoded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fastvlm.errors import UserError

EXPECTED = "expected JPEG, PNG or another format of Pillow"
SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # Pillow opens grayscale PNGs and TIFFs of 16 bits as one of these


def open_image(path: Path) -> Image.Image:
    """Decode a picture to RGB; what is transparent becomes white. Raises `UserError` naming the file if it does not decode."""
    with _opened(path, str(path)) as image:
        return _to_rgb(image)


def image_format(content: bytes, name: str) -> str:
    """The usual ending of a file with this content, by its header; `name` is what a `UserError` calls the picture."""
    with _opened(BytesIO(content), name) as image:
        return {"JPEG": "jpg"}.get(image.format, image.format.lower())


@contextmanager
def _opened(file: Path | BytesIO, name: str) -> Iterator[Image.Image]:
    """Pillow compares the size in the header with `MAX_IMAGE_PIXELS` before it decodes, but only warns unless it is told otherwise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                yield image
    except FileNotFoundError:
        raise UserError(f"{name}: no such file; expected an image") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(f"{name}: not decoded, as it has more pixels than is safe; expected at most {Image.MAX_IMAGE_PIXELS}") from None
    except (OSError, ValueError, SyntaxError) as error:
        reason = str(error).replace("\n", " ")
        raise UserError(f"{name}: not an image that can be decoded ({reason}); {EXPECTED}") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BITS:
        # `convert` would cut values at 255 instead of scaling them.
        return Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("values are floating-point numbers, of which no range is known")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
