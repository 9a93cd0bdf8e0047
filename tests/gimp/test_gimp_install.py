"""`drht gimp install`, `check` and `uninstall`, as a user runs them, and GIMP's word on them."""

from __future__ import annotations

import ast
import importlib.resources
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gimp_harness import Gimp

from drht_plugin.engine.strength import FULL, PRESETS, RANGES
from drht_plugin.errors import FileError
from drht_plugin.gimp_install import install, uninstall

PLUG_IN = Path(__file__).parents[2] / "gimp/drht"
COMMAND = [sys.executable, "-I", "-m", "drht_plugin.cli", "worker"]


def drht(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `drht gimp`."""
    return subprocess.run(
        [sys.executable, "-m", "drht_plugin.cli", "gimp", *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder, with the files' contents."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def console(gimp: Gimp) -> Path:
    """A program that is this GIMP, for who asks it on a profile."""
    program = gimp.folder / "gimp"
    command = gimp.command([])
    entry = f'GIMP3_DIRECTORY="$GIMP3_DIRECTORY" gimp-console-{gimp.version} "$@"'
    program.write_text(f"#!/bin/sh\nexec {shlex.join(command)} {entry}\n")
    program.chmod(0o755)
    return program


def test_install_check_uninstall(gimp: Gimp) -> None:
    """After install GIMP has the procedure in its menu; after uninstall all is as it was before.

    check tells each fault apart: a plug-in without its run bit, one of another version, a worker
    that is gone, and none installed.
    """
    program, temporary = console(gimp), {"TMPDIR": str(gimp.folder)}
    where = ("--profile", gimp.profile)
    before = tree(gimp.profile)

    done = drht("install", *where, "--gimp", program, "--threads", "2", **temporary)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok: {program} has plug-in-drht-recover-exposure" in done.stdout
    assert f"ok: worker {sys.executable}" in done.stdout

    sources = [path for path in PLUG_IN.rglob("*") if "__pycache__" not in path.parts]
    parts = [f"plug-ins/drht/{path.relative_to(PLUG_IN)}" for path in sources if path.is_file()]
    assert "plug-ins/drht/help/ja/index.html" in parts
    assert "plug-ins/drht/locale/de/LC_MESSAGES/drht-plugin.mo" in parts
    folders = {str(folder) for part in parts for folder in Path(part).parents} - {"."}
    ours = [*folders, *parts, "plug-ins/drht/worker.json"]
    installed = tree(gimp.profile)
    assert {name: installed.pop(name) for name in ours}
    assert installed == before

    facts = gimp.run("""
procedure = Gimp.get_pdb().lookup_procedure(PROCEDURE)
report(OUT, menu=procedure.get_menu_paths(), label=procedure.get_menu_label(),
    names=[each.get_name() for each in procedure.get_arguments()])
""")
    assert facts["menu"] == ["<Image>/Filters/Enhance"]
    assert facts["label"].replace("_", "") == "Recover Exposure (DRHT)…"
    named = [*RANGES, "detail", "input", "output", "wrap", "preset"]
    assert facts["names"][-len(named) :] == named
    started = tree(gimp.profile)  # GIMP writes there, too

    plugin = gimp.profile / "plug-ins/drht/drht.py"
    setup = gimp.profile / "plug-ins/drht/worker.json"
    plugin.chmod(0o644)
    assert_problem(drht("check", *where), "is not executable")
    done = drht("check", *where, "--gimp", program, **temporary)
    assert_problem(done, f"{program} does not find the plug-in")
    plugin.chmod(0o755)
    for part in (plugin, plugin.parent / "drht_parts/sources.py"):
        part.write_bytes(part.read_bytes() + b"#\n")
        assert_problem(drht("check", *where), f"{part} is not from this version")
        assert drht("install", *where).returncode == 0
    facts = json.loads(setup.read_text())
    setup.write_text(json.dumps({**facts, "command": ["/nonexistent/python"]}))
    assert_problem(drht("check", *where), "worker /nonexistent/python: No such file")

    assert drht("install", *where).returncode == 0
    done = drht("uninstall", *where)
    assert (done.returncode, done.stdout) == (0, f"{gimp.profile}: uninstalled\n")
    assert tree(gimp.profile) == {n: data for n, data in started.items() if n not in ours}
    assert "the plug-in is not installed" in drht("uninstall", *where).stdout
    assert_problem(drht("check", *where), "run `drht gimp install`")


def assert_problem(done: subprocess.CompletedProcess[str], words: str) -> None:
    """A check that found a fault says so, with exit code 1."""
    assert done.returncode == 1, done.stdout + done.stderr
    problems = [line for line in done.stdout.splitlines() if ": PROBLEM: " in line]
    assert any(words in line for line in problems), done.stdout


def test_update_of_a_part_is_taken(gimp: Gimp, monkeypatch: pytest.MonkeyPatch) -> None:
    """GIMP, which notes the arguments of a plug-in, sees those of an updated part.

    Parts that the newer version lacks are removed.
    """
    newer = gimp.folder / "newer"
    shutil.copytree(PLUG_IN, newer / "gimp/drht")
    (newer / "drht_plugin").mkdir()
    (newer / "gimp/drht/drht_parts/old.py").touch()
    monkeypatch.setattr(importlib.resources, "files", lambda _: newer / "drht_plugin")
    labels = """
procedure = Gimp.get_pdb().lookup_procedure(PROCEDURE)
report(OUT, nick=procedure.find_argument("wrap").nick)
"""
    gimp.install()
    assert gimp.run(labels)["nick"] == "360° pa_norama"
    assert (gimp.profile / "plug-ins/drht/drht_parts/old.py").exists()
    part = newer / "gimp/drht/drht_parts/settings.py"
    part.write_text(part.read_text().replace("360° pa_norama", "_Whole turn"))
    (newer / "gimp/drht/drht_parts/old.py").unlink()
    gimp.install()
    assert gimp.run(labels)["nick"] == "_Whole turn"
    assert not (gimp.profile / "plug-ins/drht/drht_parts/old.py").exists()


@pytest.mark.parametrize("without", ["drht_parts", "drht_parts/sources.py"])
def test_incomplete_plug_in_says_so(gimp: Gimp, without: str) -> None:
    """A plug-in of which files are missing is in the menu all the same, and says what to do."""
    gimp.install()
    gone = gimp.profile / "plug-ins/drht" / without
    gone.rename(gimp.folder / "gone")
    (gimp.folder / "in").write_bytes(bytes(12))
    facts = gimp.run(f"""
image, layer = make({str(gimp.folder / "in")!r}, 2, 2)
status, said = call(image, layer)
menu = Gimp.get_pdb().lookup_procedure(PROCEDURE).get_menu_paths()
report(OUT, menu=menu, status=status, said=said)
""")
    assert facts["status"] == "execution-error"
    assert facts["menu"] == ["<Image>/Filters/Enhance"]
    assert "are not complete" in facts["said"]
    assert "Run `drht gimp install`" in facts["said"]


def test_python_s_safe_path(gimp: Gimp) -> None:
    """The plug-in finds its parts where PYTHONSAFEPATH keeps Python from looking beside it."""
    gimp.install()
    gimp.environment["PYTHONSAFEPATH"] = "1"
    facts = gimp.run("""
procedure = Gimp.get_pdb().lookup_procedure(PROCEDURE)
report(OUT, names=[each.get_name() for each in procedure.get_arguments()])
""")
    assert "strength" in facts["names"]


def test_uninstall_removes_files_in_the_plug_in_alone(tmp_path: Path) -> None:
    """What the record of files names outside the plug-in's folder stays."""
    plugin = install(tmp_path, COMMAND, ["auto"])
    (tmp_path / "mine").touch()
    setup = plugin.with_name("worker.json")
    facts = json.loads(setup.read_text())
    outside = ["../../mine", str(tmp_path / "mine")]
    setup.write_text(json.dumps({**facts, "files": [*facts["files"], *outside]}))
    assert uninstall(tmp_path)
    assert tree(tmp_path) == {"mine": b""}


def test_uninstall_of_an_earlier_version(tmp_path: Path) -> None:
    """A plug-in of one file, which version 0.2.0 installed, is removed and updated."""
    plugin = install(tmp_path, COMMAND, ["auto"])
    setup = plugin.with_name("worker.json")
    whole = tree(tmp_path)
    for action in (lambda: install(tmp_path, COMMAND, ["auto"]), lambda: uninstall(tmp_path)):
        for name in ("drht_parts", "locale", "help"):
            shutil.rmtree(plugin.with_name(name), ignore_errors=True)
        facts = json.loads(setup.read_text())
        facts.pop("files", None)
        setup.write_text(json.dumps(facts))
        action()
        assert tree(tmp_path) in (whole, {})
    assert tree(tmp_path) == {}


def test_uninstall_leaves_what_is_not_ours(tmp_path: Path) -> None:
    """Other plug-ins, files that the user put beside ours, and folders that were there stay."""
    (tmp_path / "plug-ins/other").mkdir(parents=True)
    (tmp_path / "plug-ins/other/other.py").write_text("theirs")
    before = tree(tmp_path)
    plugin = install(tmp_path, COMMAND, ["auto"])
    assert os.access(plugin, os.X_OK)
    install(tmp_path, COMMAND, ["auto"])
    assert uninstall(tmp_path)
    assert tree(tmp_path) == before

    install(tmp_path, COMMAND, ["auto"])
    (plugin.parent / "notes.txt").write_text("mine")
    assert uninstall(tmp_path)
    expected = {**before, "plug-ins/drht": None, "plug-ins/drht/notes.txt": b"mine"}
    assert tree(tmp_path) == expected


def test_install_does_not_replace_a_stranger(tmp_path: Path) -> None:
    """A plug-in of the same name that install did not put there is refused and unchanged."""
    (tmp_path / "plug-ins/drht").mkdir(parents=True)
    (tmp_path / "plug-ins/drht/drht.py").write_text("theirs")
    before = tree(tmp_path)
    with pytest.raises(FileError, match="did not put there"):
        install(tmp_path, COMMAND, ["auto"])
    assert not uninstall(tmp_path)
    assert tree(tmp_path) == before


def test_no_profile(tmp_path: Path) -> None:
    """Without any profile the command says how to get or name one, with exit code 2."""
    done = drht("install", HOME=str(tmp_path), XDG_CONFIG_HOME="", GIMP3_DIRECTORY="")
    assert done.returncode == 2
    assert "start GIMP 3 once, or name its folder with --profile" in done.stderr


def test_wrong_settings_stop_install(tmp_path: Path) -> None:
    """A model or device that is not there is refused before anything is written."""
    for words in (["--model", "nothing"], ["--device", "abacus"], ["--threads", "0"]):
        done = drht("install", "--profile", tmp_path / "profile", *words)
        assert done.returncode == 2, done.stderr
    assert tree(tmp_path) == {}


class WithoutMarks(ast.NodeTransformer):
    """Replaces N_("text"), which marks a text for translation, by the text."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """The only argument of a call."""
        [text] = node.args
        return text


def test_the_plug_in_has_the_controls_of_the_library() -> None:
    """Names, ranges, defaults and presets in the plug-in's source are those of the library."""
    source = (PLUG_IN / "drht_parts/settings.py").read_text(encoding="utf-8")
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("CONTROLS", "PRESETS"):
                found[name] = ast.literal_eval(WithoutMarks().visit(node.value))
    ranges = {name: (*RANGES[name], getattr(FULL, name)) for name in RANGES}
    assert {name: control[2:] for name, control in found["CONTROLS"].items()} == ranges
    assert found["PRESETS"] == PRESETS
