"""BMP pixels of 16 and 32 bits, which masks divide into channels, by files made of their bytes."""

import struct
import tempfile
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from drht_plugin import correct_file, io
from drht_plugin.errors import ReadError

HEIGHT, WIDTH = 9, 13
BGR = (0xFF0000, 0xFF00, 0xFF)
PLAIN, FIELDS = 0, 3


def bmp_bytes(
    words: NDArray[Any],
    masks: tuple[int, ...] = (),
    *,
    header: int = 40,
    top_down: bool = False,
    profile: bytes = b"",
) -> bytes:
    """Return a BMP of H×W pixels of 16 or 32 bits each; masks of red, green, blue and alpha."""
    height, width = words.shape
    rows = words if top_down else words[::-1]
    padding = b"\0" * (-words.itemsize * width % 4)
    body = b"".join(row.tobytes() + padding for row in rows)
    start = max(14 + header, 54 + 4 * len(masks))
    head = bytearray(start)
    struct.pack_into("<2sI4xI", head, 0, b"BM", start + len(body), start)
    sides = (width, -height if top_down else height)
    bits, compression = 8 * words.itemsize, FIELDS if masks else PLAIN
    struct.pack_into(
        "<IiiHHIIii", head, 14, header, *sides, 1, bits, compression, len(body), 3937, 7874
    )
    struct.pack_into(f"<{len(masks)}I", head, 54, *masks)
    if header >= 108:
        head[70:74] = b"DEBM" if profile else b"BGRs"
    if profile:
        struct.pack_into("<II", head, 126, start - 14 + len(body), len(profile))
    return bytes(head) + body + profile


def packed(values: NDArray[Any], masks: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Put H×W×C values where masks say."""
    words = np.zeros(values.shape[:2], np.uint32)
    for channel, mask in enumerate(masks):
        words |= values[..., channel].astype(np.uint32) * (mask & -mask)
    return words.astype(dtype)


LAYOUTS = {
    "RGB": ("<u4", (0xFF, 0xFF00, 0xFF0000)),
    "BGR": ("<u4", BGR),
    "ARGB": ("<u4", (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "alpha last": ("<u4", (*BGR, 0xFF000000)),
    "ten bits": ("<u4", (0x3FF00000, 0xFFC00, 0x3FF)),
    "565": ("<u2", (0xF800, 0x7E0, 0x1F)),
    "1555": ("<u2", (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "444": ("<u2", (0xF00, 0xF0, 0xF)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("top_down", [False, True])
def test_masks(layout: str, top_down: bool, tmp_path: Path) -> None:
    """Channels lie where their masks say, and of each width the greatest value is white."""
    dtype, masks = LAYOUTS[layout]
    tops = [mask // (mask & -mask) for mask in masks]
    random = np.random.default_rng(len(layout))
    values = random.integers(0, np.array(tops) + 1, (HEIGHT, WIDTH, len(masks)))
    header = 108 if len(masks) == 4 else 40
    data = bmp_bytes(packed(values, masks, dtype), masks, header=header, top_down=top_down)
    (tmp_path / "a.bmp").write_bytes(data)
    found = io.read_picture(tmp_path / "a.bmp").pixels
    assert found.dtype == (np.uint16 if max(tops) > 255 else np.uint8)
    most = np.iinfo(found.dtype).max
    np.testing.assert_allclose(found, values / tops * most, atol=0.501)


@given(st.booleans(), st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1))
def test_the_fourth_byte(used: bool, row: int, column: int) -> None:
    """Without a mask it is alpha where any pixel has some, and else pixels are opaque."""
    words = np.full((HEIGHT, WIDTH), 0x00804020, "<u4")
    words[row, column] |= 0x77000000 * used
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bmp"
        path.write_bytes(bmp_bytes(words))
        found = io.read_picture(path).pixels
    assert found.shape == (HEIGHT, WIDTH, 4 if used else 3)
    np.testing.assert_array_equal(found[row, column], [0x80, 0x40, 0x20, 0x77][: 3 + used])


def test_a_screenshot_is_opaque(tmp_path: Path) -> None:
    """The result of a picture whose fourth byte is 0 all over is not transparent."""
    words = packed(made.values(3, "uint8", HEIGHT, WIDTH), BGR, "<u4")
    (tmp_path / "a.bmp").write_bytes(bmp_bytes(words))
    correct_file(tmp_path / "a.bmp", tmp_path / "b.png", strength=0)
    with Image.open(tmp_path / "a.bmp") as source, Image.open(tmp_path / "b.png") as result:
        assert result.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(result), np.asarray(source))
        assert result.info["dpi"] == pytest.approx((100, 200), abs=0.01)


def test_a_profile(tmp_path: Path) -> None:
    """An embedded profile is kept, by the result and by what reads it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    words = packed(made.values(4, "uint8", HEIGHT, WIDTH), (*BGR, 0xFF000000), "<u4")
    data = bmp_bytes(words, (*BGR, 0xFF000000), header=124, profile=profile)
    (tmp_path / "a.bmp").write_bytes(data)
    correct_file(tmp_path / "a.bmp", tmp_path / "b.png", strength=0)
    with Image.open(tmp_path / "b.png") as result:
        assert result.info["icc_profile"] == profile


@pytest.mark.parametrize(
    "masks", [(0, 0xFF00, 0xFF), (0xF0F000, 0xF00, 0xFF), (0xFF0000, 0xFF00, 0)]
)
def test_masks_that_cannot_be(masks: tuple[int, int, int], tmp_path: Path) -> None:
    """Masks with gaps, and colours without one, are damage."""
    (tmp_path / "a.bmp").write_bytes(bmp_bytes(np.zeros((9, 13), "<u4"), masks))
    with pytest.raises(ReadError, match=r"a\.bmp: is damaged .*mask"):
        io.read_picture(tmp_path / "a.bmp")


def test_cut_off(tmp_path: Path) -> None:
    """A file that ends early is refused, or its rows are kept; one of a giant takes no memory."""
    words = packed(made.values(3, "uint8", 200, 100), BGR, "<u4")
    (tmp_path / "a.bmp").write_bytes(bmp_bytes(words, BGR)[:-40000])
    with pytest.raises(ReadError, match="end early"):
        io.read_picture(tmp_path / "a.bmp")
    kept = io.read_picture(tmp_path / "a.bmp", damaged="keep").pixels
    assert not kept[:100].any()
    np.testing.assert_array_equal(packed(kept[100:], BGR, "<u4"), words[100:])
    giant = bytearray(bmp_bytes(words, BGR))
    struct.pack_into("<ii", giant, 18, 1 << 16, 1 << 16)
    (tmp_path / "a.bmp").write_bytes(giant)
    with pytest.raises(ReadError, match="cannot hold"):
        io.read_picture(tmp_path / "a.bmp", damaged="keep")
