"""Read small JSON documents that may be broken or hostile."""

import json
from pathlib import Path
from typing import Any, NoReturn

MOST_BYTES = 1 << 20
"""Size of the largest document that is read; those of this project have a few hundred bytes."""


def parse_json(data: bytes, most: int = MOST_BYTES) -> Any:
    """Parse a JSON document.

    Args:
        data: UTF-8 text.
        most: bytes of the largest document that is accepted.

    Returns:
        Dictionaries, lists, texts, numbers, booleans and None, as by `json.loads`.

    Raises:
        ValueError: the document is too large, is not UTF-8 or JSON, is nested too deeply, or holds
            NaN or infinity.
    """
    if len(data) > most:
        raise ValueError(f"it has {len(data)} bytes; at most {most} are read")
    try:
        return json.loads(data.decode(), parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json_object(path: Path, most: int = MOST_BYTES) -> dict[str, Any]:
    """Read a JSON file that holds an object; no more of it than `most` bytes is loaded.

    Args:
        path: of the file.
        most: bytes of the largest document that is accepted.

    Returns:
        The object; see `parse_json`.

    Raises:
        OSError: the file cannot be read.
        ValueError: see `parse_json`; or the document holds something else than an object.
    """
    with open(path, "rb") as file:
        found = parse_json(file.read(most + 1), most)
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}; expected a JSON object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return value
