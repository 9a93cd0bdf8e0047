"""How the backends say no; `_files` adds the file's name."""


class CodecError(Exception):
    """A library could not do it; the message is what it said, in one line."""


class UnsupportedError(Exception):
    """The file is sound, but of a kind that is not read; the message says of which."""
