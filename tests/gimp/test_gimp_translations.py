"""The plug-in's translations: complete, current, and what GIMP and the plug-in show."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
import pyvips
import translations
from gimp_harness import Gimp
from gimp_screen import ANY_DIALOG, PICTURE, SHORTCUT, Screen

PO = Path(translations.__file__).with_name("po")
LANGUAGES = ["de", "es", "fr", "ja"]

_MNEMONIC = re.compile("(?<!drht)_(?! )")
_ELSEWHERE = {"Recover E_xposure (DRHT)…", "_Close"}  # not in the dialog
# Keys of the dialog's buttons that GIMP itself adds: load, save, reset, cancel, OK.
_GIMPS = {"de": "gszco", "es": "cgra", "fr": "csrnv", "ja": "lsrco"}


def messages(language: str) -> Iterator[tuple[str, str]]:
    """Each text with its translation."""
    for message in translations.load(PO / f"{language}.po"):
        if message.id:
            assert isinstance(message.id, str)
            assert isinstance(message.string, str)
            assert not message.fuzzy, message.id
            yield message.id, message.string


def places(text: str) -> list[str]:
    """Names of the places that are filled in, in order of name."""
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_the_template_is_current() -> None:
    """It holds the sources' texts, as `python gimp/translations.py` writes it; so do languages."""
    template = translations.collect()
    assert translations.text_of(template) == (PO / "drht-plugin.pot").read_text(encoding="utf-8")
    assert sorted(path.stem for path in PO.glob("*.po")) == LANGUAGES
    texts = {message.id for message in template if message.id}
    for language in LANGUAGES:
        assert {text for text, _ in messages(language)} == texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    """With the same places to fill in, and a mnemonic and an ellipsis where the text has them."""
    for text, said in messages(language):
        assert said.strip(), text
        assert places(said) == places(text), text
        assert len(_MNEMONIC.findall(said)) == len(_MNEMONIC.findall(text)), text
        assert said.endswith(("…", "...")) == text.endswith("…"), text
        for command in re.findall("`.*?`", text):
            assert command in said, text
        # These are all that may be the same word in another language.
        same = {"signal {number}", "Natural", "Visible", "_1:1", "Signal {number}", "mired"}
        assert said != text or text in same, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_mnemonics_differ(language: str) -> None:
    """No two of the dialog's labels have the same key, nor the key of a button of GIMP's."""
    keys = [
        said[_MNEMONIC.search(said).end()].lower()  # type: ignore[union-attr]
        for text, said in messages(language)
        if _MNEMONIC.search(text) and text not in _ELSEWHERE
    ]
    keys += _GIMPS[language]
    assert len(keys) > 15
    assert [key for key in set(keys) if keys.count(key) > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_compiled_files_are_current(language: str) -> None:
    """What the plug-in reads is what the .po file says."""
    path = translations.compiled_path(PO / f"{language}.po")
    with open(path, "rb") as file:
        compiled = gettext.GNUTranslations(file)
    for text, said in messages(language):
        assert compiled.gettext(text) == said


_LABELS = """
procedure = Gimp.get_pdb().lookup_procedure(PROCEDURE)
arguments = [a for a in procedure.get_arguments() if a.name in ("strength", "output")]
image, layer = make({source!r}, 4, 4)
layer.set_lock_content(True)
layer.set_name("x")
report(OUT, menu=procedure.get_menu_label(), blurb=procedure.get_blurb(),
    nicks=[a.nick for a in arguments], said=call(image, layer)[1])
"""


def test_gimp_shows_the_users_language(gimp: Gimp) -> None:
    """Menu, arguments and problems are in the language that GIMP runs in, also a later one."""
    gimp.install()
    source = gimp.folder / "in"
    source.write_bytes(bytes(4 * 4 * 3))
    for language in ["de", "ja", "fr:de", "es_MX", "xx", ""]:
        gimp.environment["LANGUAGE"] = language
        found = gimp.run(_LABELS.format(source=str(source)))
        first = language.partition(":")[0].partition("_")[0]
        known = dict(messages(first)) if first in LANGUAGES else {}

        def said(text: str, known: dict[str, str] = known) -> str:
            return known.get(text, text)

        assert found == {
            "menu": said("Recover E_xposure (DRHT)…"),
            "blurb": said("Recover detail in over- and under-exposed parts of a picture"),
            "nicks": [said("Str_ength"), said("Out_put")],
            "said": said("The pixels of “{name}” are locked; unlock them first.").format(name="x"),
        }


def test_the_longest_labels_fit(gimp: Gimp) -> None:
    """In French, at a scale of 2, the dialog is inside a small screen."""
    gimp.install()
    (gimp.profile / "shortcutsrc").write_text(SHORTCUT)
    picture = gimp.folder / "bridge.png"
    pyvips.Image.new_from_file(str(PICTURE)).write_to_file(str(picture))
    french = {"LANGUAGE": "fr", "LANG": "de_DE.UTF-8"}  # in C.UTF-8 GIMP's own texts are English
    screen = Screen(gimp, "1366x768", GDK_SCALE="2", **french)
    try:
        screen.open(picture)
        screen.press(screen.image, "ctrl+alt+h", until=lambda: screen.is_open(ANY_DIALOG))
        left, top, wide, high = screen.geometry(ANY_DIALOG)
        assert left >= 0
        assert top >= 0
        assert left + wide <= 1366
        assert top + high <= 768
        screen.press(ANY_DIALOG, "Escape", until=lambda: not screen.is_open(ANY_DIALOG))
    finally:
        screen.close()
