"""Every kind of image file becomes RGB as a person would see it, or is refused in one line."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastvlm.data.pictures import image_format, open_image
from fastvlm.errors import UserError

RED, GREEN = (200, 30, 40), (10, 220, 60)


def saved(tmp_path, image, name="picture.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def pixel(path):
    image = open_image(path)
    assert image.mode == "RGB"
    return image.getpixel((0, 0))


def test_grayscale(tmp_path):
    assert pixel(saved(tmp_path, Image.new("L", (4, 4), 77))) == (77, 77, 77)


def test_black_and_white(tmp_path):
    assert pixel(saved(tmp_path, Image.new("1", (4, 4), 1))) == (255, 255, 255)


def test_palette(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*RED, *GREEN])
    assert pixel(saved(tmp_path, image)) == GREEN


def test_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([*RED, *GREEN])
    assert pixel(saved(tmp_path, image, transparency=0)) == (255, 255, 255)


@pytest.mark.parametrize(("alpha", "seen"), [(0, (255, 255, 255)), (255, RED)])
def test_rgba_lies_on_white(tmp_path, alpha, seen):
    assert pixel(saved(tmp_path, Image.new("RGBA", (4, 4), (*RED, alpha)))) == seen


def test_half_transparent_grayscale_lies_on_white(tmp_path):
    (value, *_) = pixel(saved(tmp_path, Image.new("LA", (4, 4), (0, 128))))
    assert value == pytest.approx(127, abs=1)


def test_cmyk_jpeg(tmp_path):
    cyan = saved(tmp_path, Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "picture.jpg", quality=95)
    assert pixel(cyan) == pytest.approx((0, 255, 255), abs=8)


@given(value=st.integers(0, 65535))
def test_sixteen_bits_are_scaled_not_cut(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("deep") / "picture.png"
    Image.fromarray(np.full((4, 4), value, dtype=np.uint16)).save(path)
    assert pixel(path)[0] == pytest.approx(value / 257, abs=1)


def test_floating_point_is_refused(tmp_path):
    refused(saved(tmp_path, Image.new("F", (4, 4), 0.5), "picture.tiff"), "floating-point numbers")


def test_missing(tmp_path):
    refused(tmp_path / "no.png", "no.png: no such file; expected an image")


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
def test_truncated(tmp_path, name):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path, f"{name}: not an image that can be decoded (")


def test_no_image_at_all(tmp_path):
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    refused(tmp_path / "page.jpg", "page.jpg: not an image that can be decoded (")


@pytest.mark.parametrize("pixels", [Image.MAX_IMAGE_PIXELS + 1, 2 * Image.MAX_IMAGE_PIXELS + 1])
def test_a_bomb_is_refused_by_its_header(tmp_path, pixels):
    """The file holds no pixels at all: to decode it would be another error. Pillow itself only warns of the smaller one."""
    path = tmp_path / "bomb.png"
    path.write_bytes(header(pixels, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        refused(path, f"bomb.png: not decoded, as it has more pixels than is safe; expected at most {Image.MAX_IMAGE_PIXELS}")


def header(width, height):
    """A grayscale PNG up to where its pixels would begin."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data))


@pytest.mark.parametrize(("kind", "ending"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif")])
def test_a_name_ends_as_the_content_is(kind, ending):
    content = BytesIO()
    Image.new("RGB", (4, 4)).save(content, kind)
    assert image_format(content.getvalue(), "row 3") == ending


def test_bytes_of_the_hub_are_named_by_their_row():
    with pytest.raises(UserError, match=r"row 3: not an image that can be decoded"):
        image_format(b"nothing", "row 3")


def refused(path, line):
    with pytest.raises(UserError) as error:
        open_image(path)
    assert line in str(error.value)
    assert "\n" not in str(error.value)
