"""`--resume` trusts only its user's own files, and names what is damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import io_samples as made
import pytest
from strategies import corrector

from drht_plugin import WriteError, correct_file, resume
from drht_plugin.resume import parse_journal, resume_folder

STUB = corrector()
HEIGHT = 600

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX links and modes")


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Source and target of a run that was interrupted after some rows."""
    monkeypatch.setattr(resume, "_JOURNAL_SECONDS", 0.0)
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    made.tiff(source, made.values(3, "uint8", HEIGHT, 300))

    def stop(share: float) -> None:
        journal = resume_folder(target) / "journal"
        if journal.exists() and len(journal.read_bytes().splitlines()) > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        correct_file(source, target, corrector=STUB, resume=True, memory=200_000, progress=stop)
    return source, target


def go_on(source: Path, target: Path) -> None:
    correct_file(source, target, corrector=STUB, resume=True, memory=200_000)


@pytest.mark.parametrize("name", ["journal", "rows", "job.json", "scene.safetensors"])
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symlink", "hard link"])
def test_a_link_is_not_followed(
    name: str, link: Callable[[Path, Path], None], begun: tuple[Path, Path], tmp_path: Path
) -> None:
    """A link in the place of a file is refused by name, and what it points to stays."""
    source, target = begun
    file, precious = resume_folder(target) / name, tmp_path / "precious"
    file.rename(precious)
    before = precious.read_bytes()
    link(precious, file)
    with pytest.raises(WriteError, match=rf"^b\.tif: .*{name} (is a link|has a second name)"):
        go_on(source, target)
    assert precious.read_bytes() == before
    assert not target.exists()


def test_a_folder_that_is_a_link(begun: tuple[Path, Path], tmp_path: Path) -> None:
    """A link in the place of the folder is refused, and nothing is made where it points to."""
    source, target = begun
    folder, elsewhere = resume_folder(target), tmp_path / "elsewhere"
    folder.rename(tmp_path / "away")
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)
    with pytest.raises(WriteError, match=r"drht-resume is a link, which is not followed"):
        go_on(source, target)
    assert list(elsewhere.iterdir()) == []
    folder.unlink()
    folder.write_bytes(b"")
    with pytest.raises(WriteError, match=r"drht-resume is no folder"):
        go_on(source, target)


@pytest.mark.parametrize("name", ["", "journal", "rows", "job.json", "scene.safetensors"])
def test_what_others_may_write_is_refused(name: str, begun: tuple[Path, Path]) -> None:
    """A folder or file that other users may write to is refused by name."""
    source, target = begun
    path = resume_folder(target) / name
    path.chmod(path.stat().st_mode | 0o002)
    with pytest.raises(WriteError, match=rf"{path.name} can be written by other users"):
        go_on(source, target)
    path.chmod(path.stat().st_mode & ~0o002)
    go_on(source, target)


def test_what_others_own_is_refused(
    begun: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of another user is refused."""
    source, target = begun
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(WriteError, match="belongs to another user"):
        go_on(source, target)


def test_a_pipe_does_not_block(begun: tuple[Path, Path]) -> None:
    """A pipe in the place of a file is refused at once."""
    source, target = begun
    journal = resume_folder(target) / "journal"
    journal.unlink()
    os.mkfifo(journal)
    with pytest.raises(WriteError, match="journal is a pipe, not a file"):
        go_on(source, target)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("journal", b"no journal at all", "line 1 is b'no journal"),
        ("journal", b"\xff\xfe\n100 5\n", "line 1 is"),
        ("journal", b"100 5\n50 7\n200 9\n", "line 2 is b'50 7"),
        ("journal", b"100 5\n9999999 7\n200 9\n", "line 2 is"),
        ("job.json", b"{", "job.json is damaged"),
        ("job.json", b"[" * 100_000, "job.json is damaged"),
    ],
)
def test_a_damaged_file_is_named(
    name: str, data: bytes, words: str, begun: tuple[Path, Path]
) -> None:
    """A journal or job that no run has written is refused by name, with the way out."""
    source, target = begun
    (resume_folder(target) / name).write_bytes(data)
    with pytest.raises(WriteError, match=rf"^b\.tif: .*{name} is damaged") as caught:
        go_on(source, target)
    assert words in str(caught.value)
    assert "remove the folder" in str(caught.value)


@pytest.mark.parametrize("tail", [b"", b"3", b"30", b"30 ", b"30 12", b"\0\0\0\0", b"30 \0\0\n"])
def test_a_torn_last_line_is_none(tail: bytes) -> None:
    """What a crash leaves of the last line is not counted, and the lines before it are."""
    assert parse_journal(b"10 5\n20 6\n" + tail, 100) == [(10, 5, 5), (20, 6, 5)]
    assert parse_journal(tail, 100) == []


def test_rows_go_with_a_whole_target(begun: tuple[Path, Path]) -> None:
    """A run without --resume that finishes the target removes the rows of the killed one."""
    source, target = begun
    correct_file(source, target, corrector=STUB)
    assert not resume_folder(target).exists()


def test_long_names_have_folders_of_their_own(tmp_path: Path) -> None:
    """Folders of two long names that begin alike differ, and the disk takes their names."""
    folders = {resume_folder(tmp_path / f"{'é' * 110}{end}.tif") for end in ("aaaaaa", "bbbbbb")}
    assert len(folders) == 2
    for folder in folders:
        folder.mkdir()
