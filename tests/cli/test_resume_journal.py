"""Journals of resumed runs that are broken or hostile."""

from pathlib import Path

import numpy as np
import pytest

from drht_plugin.errors import WriteError
from drht_plugin.resume import open_resumable, resume_folder


@pytest.mark.parametrize("job", ["[" * 100_000, "{", "[]", "", "\0", '{"a": NaN}', " " * (2 << 20)])
def test_broken_job(job: str, tmp_path: Path) -> None:
    """A job.json that is broken, absurdly nested or too long is refused by name and is kept."""
    target = tmp_path / "a.tif"
    folder = resume_folder(target)
    folder.mkdir()
    (folder / "job.json").write_text(job)
    opened = open_resumable(target, {"model": "x"}, (4, 4, 3), np.dtype(np.uint8))
    with pytest.raises(WriteError, match=r"a\.tif: .*job\.json is damaged"), opened:
        pass
    assert (folder / "job.json").read_text() == job
