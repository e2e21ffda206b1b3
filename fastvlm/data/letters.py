"""A pixel font of its own, so that no library's version changes what a sign looks like."""

from __future__ import annotations

from functools import cache

from PIL import Image

WIDTH, HEIGHT, SCALE = 3, 5, 2
# Five rows from the top, each three pixels as the bits of a digit.
GLYPHS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71122", "8": "75757",
    "9": "75717", "a": "25755", "g": "34553", "h": "55755", "i": "72227", "o": "25552", "p": "65644", "t": "72222", "v": "55552",
    "x": "55255",
}  # fmt: skip


@cache
def letters_mask(text: str, side: int) -> Image.Image:
    """`text` in the middle of a square of `side` pixels: 255 where there is ink."""
    mask = Image.new("L", (side, side), 0)
    left, top = (side - SCALE * ((WIDTH + 1) * len(text) - 1)) // 2, (side - SCALE * HEIGHT) // 2
    for place, letter in enumerate(text):
        for row, bits in enumerate(GLYPHS[letter]):
            for column in range(WIDTH):
                if int(bits) >> (WIDTH - 1 - column) & 1:
                    x, y = left + SCALE * ((WIDTH + 1) * place + column), top + SCALE * row
                    mask.paste(255, (x, y, x + SCALE, y + SCALE))
    return mask
