"""JSON documents that may be broken or hostile."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drht_plugin.storage import parse_json, read_json_object

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_round_trip(value: object) -> None:
    """What JSON can hold comes back as it was."""
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"",
        b"{",
        b"\xff\xfe{}",
        b"\x00",
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"9" * 10_000,
        b" " * (2 << 20),
    ],
    ids=lambda data: f"{bytes(data[:9])!r}_{len(data)}",
)
def test_broken_documents(data: bytes) -> None:
    """Absurd nesting, other encodings, numbers beyond bounds and long texts are a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        parse_json(data)


@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a document or a ValueError, never another exception."""
    try:
        parse_json(data)
    except ValueError:
        return


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null"])
def test_other_than_an_object(text: str, tmp_path: Path) -> None:
    """A document that holds no object is refused, and the error names what it holds."""
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="expected a JSON object"):
        read_json_object(tmp_path / "a.json")


def test_endless_file() -> None:
    """A file without end is read up to the limit only."""
    if not Path("/dev/zero").exists():
        pytest.skip("no /dev/zero on this system")
    with pytest.raises(ValueError, match="at most 1048576 are read"):
        read_json_object(Path("/dev/zero"))
