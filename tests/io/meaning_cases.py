"""Files of every kind that the table of meanings names, and what they show.

All are written by the bytes, by Pillow or by tifffile, none by the package.
"""

import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import png_bytes
import radiance_bytes
import tifffile
from meaning_judges import Values, straight, turned
from numpy.typing import NDArray
from PIL import Image
from tiff_bytes import Order, tiff_bytes

HEIGHT, WIDTH = 11, 14
EIGHT, SIXTEEN = 0.51 / 255, 1.01 / 65535
LOSSY = 12 / 255


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        name: of the file; a suffix of two dots is none.
        data: its bytes.
        shown: upright H×W×C that it shows; see `meaning_judges.shown`.
        tolerance: largest difference that its coding may make.
    """

    name: str
    data: bytes
    shown: Values
    tolerance: float


def every_case() -> list[Case]:
    """Return all cases, with names that differ."""
    makers: tuple[Callable[[], Iterator[Case]], ...] = (
        _tiff_gray,
        _tiff_rgb,
        _tiff_float,
        _tiff_palette,
        _tiff_deflate,
        _tiff_orientation,
        _png,
        _pnm,
        _pfm,
        _radiance,
        _pillow_orientation,
        _alpha_by_pillow,
    )
    return [case for maker in makers for case in maker()]


def samples(channels: int, bits: int, seed: int = 0) -> NDArray[Any]:
    """Return random whole numbers of so many bits; alpha has no zeros."""
    random = np.random.default_rng(seed + 17 * bits + channels)
    made = random.integers(0, 2**bits, (HEIGHT, WIDTH, channels))
    if channels in (2, 4):
        made[..., -1] = np.maximum(made[..., -1], 1)
    return made.astype(np.uint8 if bits <= 8 else np.uint16)


def _straight_of(stored: NDArray[Any], bits: int, *, white_is_zero: bool, extra: int) -> Values:
    found = stored / float(2**bits - 1)
    if extra == 1:
        found = straight(found)
    if white_is_zero:
        found[..., 0] = 1 - found[..., 0]
    return found


_ORDERS: tuple[Order, ...] = ("<", ">")


def _tiff_gray() -> Iterator[Case]:
    for photometric, bits, extra, planar, order in itertools.product(
        (0, 1), (1, 2, 4, 8, 16), (None, 0, 1, 2), (False, True), _ORDERS
    ):
        channels = 1 if extra is None else 2
        if (planar and channels == 1) or (extra == 1 and (photometric == 0 or bits < 8)):
            continue
        stored = samples(channels, bits)
        if extra == 1:
            stored[..., 0] = np.minimum(stored[..., 0], stored[..., 1])
        yield Case(
            f"gray-{photometric}-{bits}-{extra}-{int(planar)}-{'LB'[order == '>']}.tif",
            tiff_bytes(
                stored, photometric=photometric, bits=bits, order=order, planar=planar, extra=extra
            ),
            _straight_of(stored, bits, white_is_zero=photometric == 0, extra=extra or 0),
            EIGHT if bits <= 8 else SIXTEEN,
        )


def _tiff_rgb() -> Iterator[Case]:
    for bits, extra, planar, order in itertools.product(
        (2, 4, 8, 10, 12, 16), (None, 0, 1, 2), (False, True), _ORDERS
    ):
        if extra == 1 and bits not in (8, 16):
            continue
        stored = samples(3 if extra is None else 4, bits)
        if extra == 1:
            stored[..., :3] = np.minimum(stored[..., :3], stored[..., 3:])
        yield Case(
            f"rgb-{bits}-{extra}-{int(planar)}-{'LB'[order == '>']}.tif",
            tiff_bytes(stored, photometric=2, bits=bits, order=order, planar=planar, extra=extra),
            _straight_of(stored, bits, white_is_zero=False, extra=extra or 0),
            EIGHT if bits <= 8 else SIXTEEN,
        )


def _tiff_float() -> Iterator[Case]:
    for photometric, kind, alpha, order in itertools.product(
        (0, 1, 2), ("f2", "f4"), (False, True), _ORDERS
    ):
        channels = (3 if photometric == 2 else 1) + alpha
        stored = np.random.default_rng(channels).random((HEIGHT, WIDTH, channels)).astype(kind)
        extra = 2 if alpha else None
        yield Case(
            f"float-{photometric}-{kind}-{int(alpha)}-{'LB'[order == '>']}.tif",
            tiff_bytes(
                stored,
                photometric=photometric,
                bits=8 * stored.itemsize,
                order=order,
                extra=extra,
                form=3,
            ),
            _straight_of(stored, 1, white_is_zero=photometric == 0, extra=0),
            1e-3 if kind == "f2" else 1e-6,
        )


def _tiff_palette() -> Iterator[Case]:
    for bits, scale, order in itertools.product((1, 2, 4, 8), (1, 257), _ORDERS):
        stored = samples(1, bits)
        table = np.random.default_rng(bits).integers(0, 256, (3, 2**bits))
        table[0, 0] = 0xFF
        yield Case(
            f"palette-{bits}-{scale}-{'LB'[order == '>']}.tif",
            tiff_bytes(
                stored,
                photometric=3,
                bits=bits,
                order=order,
                fields={320: (3, (table * scale).ravel().tolist())},
            ),
            table[:, stored[..., 0]].transpose(1, 2, 0) / 255,
            EIGHT,
        )


def _tiff_deflate() -> Iterator[Case]:
    kinds = ("minisblack", "miniswhite", "rgb")
    for kind, depth, alpha, tile in itertools.product(
        kinds, ("u1", "u2", "f4"), (False, True), (None, (16, 16))
    ):
        channels = (3 if kind == "rgb" else 1) + alpha
        bits = 8 * np.dtype(depth).itemsize
        if depth == "f4":
            stored = np.random.default_rng(3).random((HEIGHT, WIDTH, channels)).astype(depth)
        else:
            stored = samples(channels, bits)
        file = io.BytesIO()
        tifffile.imwrite(
            file,
            stored if channels > 1 else stored[..., 0],
            photometric=kind,
            compression="zlib",
            tile=tile,
            planarconfig="contig" if channels > 1 else None,
            extrasamples=["unassalpha"] if alpha else None,
            metadata=None,
        )
        whole = 1 if depth == "f4" else bits
        yield Case(
            f"deflate-{kind}-{depth}-{int(alpha)}-{'tiles' if tile else 'strips'}.tif",
            file.getvalue(),
            _straight_of(stored, whole, white_is_zero=kind == "miniswhite", extra=0),
            {"u1": EIGHT, "u2": SIXTEEN, "f4": 1e-6}[depth],
        )


def _tiff_orientation() -> Iterator[Case]:
    for turn in range(1, 9):
        stored = samples(3, 8)
        yield Case(
            f"turn-{turn}.tif",
            tiff_bytes(stored, photometric=2, bits=8, fields={274: (3, [turn])}),
            turned(stored / 255, turn),
            EIGHT,
        )


def _png() -> Iterator[Case]:
    kinds = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8))}
    kinds |= {4: (2, (8, 16)), 6: (4, (8, 16))}
    for colour_type, (channels, depths) in kinds.items():
        for bits, clear in itertools.product(depths, (False, True)):
            if clear and colour_type in (4, 6):
                continue
            yield _png_case(colour_type, channels, bits, clear=clear)


def _png_case(colour_type: int, channels: int, bits: int, *, clear: bool) -> Case:
    """A PNG; `clear` gives it a tRNS chunk."""
    stored = samples(channels, bits)
    chunks = []
    if colour_type == 3:
        table = np.random.default_rng(bits).integers(0, 256, (2**bits, 3)).astype(np.uint8)
        alphas = np.full(2**bits, 255, np.uint8)
        alphas[: 2 ** (bits - 1)] = 99
        chunks.append((b"PLTE", table.tobytes()))
        found = table[stored[..., 0]] / 255
        if clear:
            chunks.append((b"tRNS", alphas.tobytes()))
            found = np.concatenate([found, alphas[stored] / 255], -1)
    else:
        found = stored / float(2**bits - 1)
        if clear:
            key = stored[2, 3]
            chunks.append((b"tRNS", key.astype(">u2").tobytes()))
            opaque = (stored != key).any(-1, keepdims=True)
            found = np.concatenate([found, opaque], -1)
    return Case(
        f"png-{colour_type}-{bits}-{int(clear)}.png",
        png_bytes.png_bytes(stored, colour_type=colour_type, bits=bits, chunks=chunks),
        found,
        EIGHT if bits <= 8 else SIXTEEN,
    )


def _pnm() -> Iterator[Case]:
    for channels, digits, top, note in itertools.product(
        (1, 3), (False, True), (1, 7, 15, 100, 255, 1000, 1023, 4095, 65535), (b"", b"# 9 note\n")
    ):
        random = np.random.default_rng(top)
        stored = random.integers(0, top + 1, (HEIGHT, WIDTH, channels))
        number = (2 if digits else 5) + (channels == 3)
        head = b"P%d\n%s%d %d\n%d\n" % (number, note, WIDTH, HEIGHT, top)
        rows = [b" ".join(b"%d" % value for value in row.ravel()) for row in stored]
        body = b"\n".join(rows) if digits else stored.astype(">u2" if top > 255 else "u1").tobytes()
        yield Case(
            f"pnm-{number}-{top}-{int(bool(note))}.{'ppm' if channels == 3 else 'pgm'}",
            head + body,
            stored / top,
            1.01 / 255 if top <= 255 else SIXTEEN,
        )


def _pfm() -> Iterator[Case]:
    for channels, order, scale in itertools.product((1, 3), ("<", ">"), (1, 2.5)):
        light = np.random.default_rng(2).random((HEIGHT, WIDTH, channels)).astype("f4") * 4
        signed = -scale if order == "<" else scale
        head = f"{'PF' if channels == 3 else 'Pf'}\n{WIDTH} {HEIGHT}\n{signed}\n".encode()
        yield Case(
            f"pfm-{channels}-{'LB'[order == '>']}-{scale}.pfm",
            head + light[::-1].astype(order + "f4").tobytes(),
            light * scale,
            1e-5,
        )


def _radiance() -> Iterator[Case]:
    for turn, coding in itertools.product(range(1, 9), ("flat", "rle", "old")):
        rgbe = np.random.default_rng(turn).integers(128, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
        rgbe[..., 3] = 129
        rgbe[:, 3:8] = rgbe[:, 2:3]
        yield Case(
            f"radiance-{turn}-{coding}.hdr",
            radiance_bytes.radiance_bytes(rgbe, turn=turn, coding=coding),
            turned(radiance_bytes.light(rgbe), turn),
            1e-6,
        )


def _smooth(channels: int) -> NDArray[Any]:
    """Return a picture that lossy coding hardly changes; no two of its edges are alike."""
    down, across = np.mgrid[:48, :64] / 64
    planes = (0.2 + 0.7 * across, 0.1 + 0.9 * down, 0.8 - 0.6 * across * down, 0.3 + 0.7 * across)
    return np.rint(255 * np.stack(planes[:channels], -1)).astype(np.uint8)


def _saved(pixels: NDArray[Any], kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def _pillow_orientation() -> Iterator[Case]:
    kinds: dict[str, tuple[str, dict[str, Any], float]] = {
        "jpg": ("JPEG", {"quality": 97}, LOSSY),
        "png": ("PNG", {}, EIGHT),
        "webp": ("WEBP", {"lossless": True}, EIGHT),
        "avif": ("AVIF", {"quality": 97, "subsampling": "4:4:4"}, LOSSY),
    }
    for (suffix, (kind, options, tolerance)), turn in itertools.product(kinds.items(), range(1, 9)):
        exif = Image.Exif()
        exif[0x112] = turn
        yield Case(
            f"turn-{turn}.{suffix}",
            _saved(_smooth(3), kind, exif=exif.tobytes(), **options),
            turned(_smooth(3) / 255, turn),
            tolerance,
        )


def _alpha_by_pillow() -> Iterator[Case]:
    pixels = _smooth(4)
    lossless = {"lossless": True, "exact": True}
    yield Case("alpha.webp", _saved(pixels, "WEBP", **lossless), pixels / 255, EIGHT)
    full = {"quality": 99, "subsampling": "4:4:4"}
    yield Case("alpha-straight.avif", _saved(pixels, "AVIF", **full), pixels / 255, LOSSY)
    yield Case(
        "alpha-premultiplied.avif",
        _saved(pixels, "AVIF", alpha_premultiplied=True, **full),
        pixels / 255,
        4 * LOSSY,  # an error of a code counts more where alpha is less
    )
