"""`drht evaluate`, as a user runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sets

from drht_plugin.cli import main
from drht_plugin.evaluation import command, run
from drht_plugin.evaluation.datasets import LazyItem
from drht_plugin.evaluation.lineup import OURS, Lineup, method_names
from drht_plugin.evaluation.scores import SCORES

QUICK = ["--methods", "identity,gamma,linear", "--metrics", "psnr,ssim,tmqi,ev-unclipped"]


def evaluate(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "--jobs", "1", "--device", "cpu"])


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables by group on the terminal, every picture's values and the versions in the JSON."""
    manifest, out = sets.make_pairs(tmp_path / "set"), tmp_path / "out.json"
    assert evaluate("--pairs", manifest, *QUICK, "--json", out) == 0
    text = capsys.readouterr().out
    for title in ("Corrected pictures, all (4 p", "HDR estimates, all (2 p", "kind = odd (2 p"):
        assert title in text
    result = read(out)
    assert len(result["items"]) == 4 * 3
    values = {(row["item"], row["method"]): row["values"] for row in result["items"]}
    assert set(values["in0.png", "identity"]) == {"psnr", "ssim", "tmqi"}
    assert set(values["in0.png", "linear"]) == {"ev-unclipped"}
    assert set(values["in1.png", "identity"]) == {"psnr", "ssim"}  # has no radiance
    assert values["in1.png", "linear"] == {}
    psnr = [values[f"in{i}.png", "identity"]["psnr"] for i in range(4)]
    whole = ("all", "identity", "psnr")
    (cell,) = [c for c in result["summary"] if (c["group"], c["method"], c["metric"]) == whole]
    assert cell["mean"] == pytest.approx(sum(psnr) / 4)
    assert min(psnr) <= cell["low"] <= cell["mean"] <= cell["high"] <= max(psnr)
    assert re.fullmatch(r"default [0-9a-f]{64}", result["model"])
    assert re.fullmatch(r"[\d.]+.*", result["packages"]["numpy"])
    assert result["methods"] == ["identity", "gamma", "linear"]
    assert result["source"]["pairs"] == "set/manifest.csv"
    assert result["failures"] == {}
    assert str(tmp_path) not in out.read_text()


def test_same_json_twice_and_by_several_processes(tmp_path: Path) -> None:
    """Runs agree byte for byte, whatever the number of processes."""
    manifest = sets.make_pairs(tmp_path / "set")
    chosen = ["--methods", "drht,clahe,huo", "--metrics", "psnr,fsim,hdr-vdp2", "--device", "cpu"]
    for name, jobs in (("one", 1), ("again", 1), ("two", 2)):
        out = tmp_path / f"{name}.json"
        arguments = ["--pairs", manifest, *chosen, "--json", out, "--jobs", jobs]
        assert main(["evaluate", *map(str, arguments)]) == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_views(tmp_path: Path) -> None:
    """Views of HDR images come by seed and count, grouped by exposure class."""
    folder = sets.make_hdr_folder(tmp_path / "hdr")
    results = []
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        out = tmp_path / f"{name}.json"
        chosen = ["--methods", "identity,linear", "--metrics", "psnr,ev-unclipped"]
        assert evaluate("--hdr", folder, "--seed", seed, "--count", 3, *chosen, "--json", out) == 0
        results.append(read(out))
    assert results[0] == results[1]
    assert results[0]["items"] != results[2]["items"]
    assert {row["groups"]["class"] for row in results[0]["items"]} == {"under", "normal", "over"}
    assert results[0]["source"]["seed"] == 4


def test_report(tmp_path: Path) -> None:
    """The report is one file that shows best, median and worst of drht, the same each time."""
    manifest, folder = sets.make_pairs(tmp_path / "set"), tmp_path / "new" / "report"
    arguments = ["--pairs", manifest, "--methods", "drht,identity", "--metrics", "psnr"]
    assert evaluate(*arguments, "--report", folder, "--json", tmp_path / "out.json") == 0
    assert [file.name for file in folder.iterdir()] == ["index.html"]
    page = (folder / "index.html").read_text()
    psnr = {
        row["item"]: row["values"]["psnr"]
        for row in read(tmp_path / "out.json")["items"]
        if row["method"] == OURS
    }
    order = sorted(psnr, key=lambda name: -psnr[name])
    for rank, name in (("Best", order[0]), ("Median", order[1]), ("Worst", order[-1])):
        assert f"{rank} of drht: {name}" in page
        assert f"corrected, {psnr[name]:.2f} dB" in page
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert evaluate(*arguments, "--report", folder) == 0
    assert (folder / "index.html").read_text() == page


def test_report_without_drht(tmp_path: Path) -> None:
    """A report of other methods has its tables, and says that it has no pictures to show."""
    manifest = sets.make_pairs(tmp_path / "set")
    assert evaluate("--pairs", manifest, *QUICK, "--report", tmp_path) == 0
    page = (tmp_path / "index.html").read_text()
    assert "No pictures: " in page
    assert "Corrected pictures, all (4 pictures)" in page


def test_bad_items_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad files are named, counted and left out, the others measured; the exit code is 1."""
    manifest, out = sets.make_pairs(tmp_path / "set"), tmp_path / "out.json"
    (manifest.parent / "in0.png").unlink()
    (manifest.parent / "in1.png").write_bytes(b"")
    sets.save(manifest.parent / "ref2.png", sets.codes(1, 7, 9))
    assert evaluate("--pairs", manifest, *QUICK, "--json", out, "--report", tmp_path) == 1
    told = capsys.readouterr().err
    for expected in (
        "drht: in0.png: left out: in0.png: cannot be read: No such file",
        "drht: in1.png: left out: in1.png: is empty",
        "drht: in2.png: left out: ref2.png: is 9×7",
        "drht: 3 of 4 items left out",
    ):
        assert expected in told
    assert list(read(out)["failures"]) == ["in0.png", "in1.png", "in2.png"]
    assert {row["item"] for row in read(out)["items"]} == {"in3.png"}
    assert "Left out: 3" in (tmp_path / "index.html").read_text()


def test_picture_too_small_for_a_metric_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a metric refuses is left out with the metric's reason."""
    manifest = sets.make_pairs(tmp_path / "set", 1, 8, 9)
    assert evaluate("--pairs", manifest, *QUICK) == 1
    assert "in0.png: left out: the images are 8×9 pixels" in capsys.readouterr().err


REFUSED = {
    "methods": (["--methods", "drht,magic"], ["unknown methods 'magic'", *method_names()]),
    "metrics": (["--metrics", "psnr,beauty"], ["unknown metrics 'beauty'", *SCORES]),
    "jobs": (["--jobs", "0"], ["jobs is 0"]),
    "device": (["--device", "abacus"], ["device 'abacus' is unknown"]),
    "model": (["--model", "none"], ["model 'none' is neither shipped"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_arguments(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong argument is exit code 2, with what is accepted, and nothing is done."""
    manifest, out = sets.make_pairs(tmp_path / "set", 1), tmp_path / "out.json"
    arguments, said = REFUSED[case]
    assert main(["evaluate", "--pairs", str(manifest), "--json", str(out), *arguments]) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in said)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]


def test_malformed_manifest_stops_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest that is wrong in its last row is exit code 2, before anything is measured."""
    manifest = sets.make_pairs(tmp_path, 2)
    with manifest.open("a") as file:
        file.write("in9.png,\n")
    assert evaluate("--pairs", manifest, *QUICK, "--json", tmp_path / "out.json") == 2
    assert "row 3" in capsys.readouterr().err
    assert not list(tmp_path.glob("out.json*"))


def test_target_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A JSON in no folder, or a report where a file is, ends the command before it measures."""
    manifest = sets.make_pairs(tmp_path / "set", 1)
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(command, "run", lambda *_: pytest.fail("has measured"))
    for option, name in (("--json", "none/out.json"), ("--report", "file")):
        assert evaluate("--pairs", manifest, *QUICK, option, tmp_path / name) == 1
        assert f"{tmp_path / name}" in capsys.readouterr().err


def test_journal_of_other_settings_is_not_used(tmp_path: Path) -> None:
    """A journal counts only for the same manifest, methods and metrics."""
    manifest, out = sets.make_pairs(tmp_path / "set", 1), tmp_path / "out.json"
    assert evaluate("--pairs", manifest, *QUICK, "--json", out) == 0
    expected = out.read_bytes()
    partial = tmp_path / "out.json.partial"
    partial.write_text('{"other": "head"}\n[{"item": "in0.png", "method": "identity"}]\n')
    assert evaluate("--pairs", manifest, *QUICK, "--json", out) == 0
    assert out.read_bytes() == expected
    assert not partial.exists()


@contextmanager
def running(manifest: Path, out: Path, jobs: int) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which has measured at least one item."""
    arguments = ["--pairs", manifest, *SLOW, "--json", out, "--jobs", jobs]
    process = subprocess.Popen(
        [sys.executable, "-m", "drht_plugin.cli", "evaluate", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        journal = out.with_name("out.json.partial")
        wait_for(lambda: journal.exists() and journal.read_text().count("\n") >= 2)
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def wait_for(condition: Any) -> None:
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited a minute in vain")


SLOW = ["--methods", "djf,huo", "--metrics", "psnr,ev-unclipped", "--device", "cpu"]


def children(process: subprocess.Popen[str]) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        pytest.skip("the system does not list a process's children")
    return [int(pid) for pid in listed.read_text().split()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize("jobs", [1, 2])
def test_goes_on_after_a_kill(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed and run again, only the rest is measured, and the JSON is that of one long run."""
    manifest = sets.make_pairs(tmp_path / "set", 8, 120, 240)
    whole, out = tmp_path / "whole.json", tmp_path / "out.json"
    with running(manifest, out, jobs) as process:
        workers = children(process)
        os.kill(process.pid, signal.SIGKILL)
    assert not out.exists()
    wait_for(lambda: all(gone(pid) for pid in workers))
    partial = tmp_path / "out.json.partial"
    kept = partial.read_text().count("\n") - 1
    assert 1 <= kept < 8
    with partial.open("a") as file:
        file.write('[{"item": "in7')  # as if it had been killed while writing
    measured: list[str] = []
    measure = run.measure

    def count(lazy: LazyItem, methods: Lineup, plan: run.Plan) -> run.Result:
        measured.append(lazy.name)
        return measure(lazy, methods, plan)

    monkeypatch.setattr(run, "measure", count)
    assert evaluate("--pairs", manifest, *SLOW, "--json", out) == 0
    assert len(measured) == 8 - kept
    assert not partial.exists()
    assert evaluate("--pairs", manifest, *SLOW, "--json", whole) == 0
    assert out.read_bytes() == whole.read_bytes()


def test_interrupt_keeps_the_journal(tmp_path: Path) -> None:
    """Ctrl-C ends the command and its processes with 130, and says what is kept."""
    manifest, out = sets.make_pairs(tmp_path / "set", 24, 120, 240), tmp_path / "out.json"
    with running(manifest, out, 2) as process:
        workers = children(process)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"kept in {out}.partial" in told
    assert "Traceback" not in told
    assert not out.exists()
    assert (tmp_path / "out.json.partial").read_text().count("\n") >= 2
    wait_for(lambda: all(gone(pid) for pid in workers))
