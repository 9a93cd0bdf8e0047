"""Exceptions of the backends; `_reading` and `_writing` add the file's name."""


class CodecError(Exception):
    """A library failed; the message is the first line of its own, where that can be relied on."""


class UnsupportedError(Exception):
    """The file is undamaged, but of an unsupported kind, which the message names."""
