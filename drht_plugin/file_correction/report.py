"""What is said of a file's correction."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileReport:
    """Result of `correct_file`.

    Attributes:
        source: the file read.
        target: the file written.
        hdr: the file of the HDR estimate; None if not requested.
        height: rows of the picture, as stored.
        width: columns of the picture, as stored.
        channels: 1 to 4.
        dtype: of the pixels.
        lifted_noise: standard deviation of the noise that guided detail leaves in lifted shadows,
            in codes of 255; see `Scene.lifted_noise`.
        detail: what was rendered: "guided" or "network".
        left_alone: whether nothing was wrong with the exposure, so that the picture is unchanged
            but for exposure, temperature and tint that are asked for.
        seconds: time of each step: load (networks), read (where the picture is loaded as a whole),
            survey, render (with reading and writing of rows), hdr, write (encoding what remains,
            and flushing to the disk).
        dropped: what the source has beside its pixels that the target has not, as it is damaged,
            or shows or claims the picture as it was: thumbnails, layers, gain maps; in plain words.
        headroom: stops above white that the target's gain map leads to; None for no gain map.
        damage: what is damaged in the source, in the decoder's words; None for nothing. Only with
            ``damaged="keep"``.
        converted: what the target's pixels are otherwise than the source's, as its format or the
            caller asks for it, in plain words: "16 bits to 8 bits, dithered".
    """

    source: str
    target: str
    hdr: str | None
    height: int
    width: int
    channels: int
    dtype: str
    lifted_noise: float
    detail: str
    left_alone: bool
    seconds: dict[str, float] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    headroom: float | None = None
    damage: str | None = None
    converted: tuple[str, ...] = ()
