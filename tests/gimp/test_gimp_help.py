"""The plug-in's help pages: complete in each language, and what GIMP opens."""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import pytest
import pyvips
import translations
from gimp_harness import Gimp
from gimp_screen import ANY_DIALOG, CHECKOUT, PICTURE, SHORTCUT, Screen

HELP = CHECKOUT / "gimp" / "drht" / "help"
LANGUAGES = ["de", "es", "fr", "ja"]

_BLOCKS = {"title", "h1", "h2", "p", "th", "td"}
_MARKED = {"b", "i", "kbd", "code"}
_NAMES = {"title", "h1", "th", "b", "i"}
_OWN = {"Mouse", "Keys"}  # that no control has
_MENU = "Filters ▸ Enhance"

_BROWSER = """\
[Desktop Entry]
Type=Application
Name=Browser
Exec=/bin/sh -c 'echo "$0" > {seen}' %u
MimeType=text/html;x-scheme-handler/file;
"""


class Page(HTMLParser):
    """A page: the marks in each block, and the texts of all elements."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.blocks: list[tuple[str, list[str]]] = []
        self.texts: list[tuple[str, str]] = []
        self.attributes: dict[str, str | None] = {}
        self._open: list[tuple[str, str]] = []
        self.feed((HELP / language / "index.html").read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        self.attributes |= attrs
        if tag in _BLOCKS:
            self.blocks.append((tag, []))
        elif tag in _MARKED:
            self.blocks[-1][1].append(tag)
        if tag in _BLOCKS | _MARKED:
            self._open.append((tag, ""))

    def handle_data(self, data: str) -> None:
        """Take a text, which belongs to all elements that are open."""
        self._open = [(tag, text + data) for tag, text in self._open]

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if tag in _BLOCKS | _MARKED:
            _, text = self._open.pop()
            self.texts.append((tag, " ".join(text.split())))

    def said(self, tags: set[str]) -> list[str]:
        """Texts of some kinds of elements, in order."""
        return [text for tag, text in self.texts if tag in tags]

    def names(self) -> list[str]:
        """All names on the page, in order."""
        return [name for text in self.said(_NAMES) for name in re.split("[,、] ?", text)]


def label(text: str) -> str:
    """A control's name as it is seen, without its mnemonic."""
    return re.sub(r"\(_.\)", "", text).replace("_", "")


def known(language: str) -> dict[str, str]:
    """Names in the dialog and the menu, with what the compiled catalog makes of them."""
    with open(translations.compiled_path(Path(f"{language}.po")), "rb") as file:
        compiled = gettext.GNUTranslations(file)
    texts = [str(message.id) for message in translations.collect() if message.id]
    return {label(text).rstrip("…"): label(compiled.gettext(text)) for text in texts}


def test_the_page_names_every_control() -> None:
    """Each label of a control and of the preview has its place on the English page."""
    names = Page("en").names()
    for message in translations.collect():
        here = any(
            place.endswith(("settings.py", "preview.py", "dialog.py"))
            for place, _ in message.locations
        )
        if here and "_" in str(message.id) and message.id != "_Help":
            assert label(str(message.id)) in names, message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_are_in_step(language: str) -> None:
    """A language's page has the English one's blocks, marks, commands and keys."""
    page, english = Page(language), Page("en")
    assert [tag for tag, _ in page.blocks] == [tag for tag, _ in english.blocks]
    assert [sorted(marks) for _, marks in page.blocks] == [
        sorted(marks) for _, marks in english.blocks
    ]
    assert page.said({"kbd", "code"}) == english.said({"kbd", "code"})
    kinds = {"h1", "h2", "p", "td"}
    texts = zip(page.said(kinds), english.said(kinds), strict=True)
    assert [said for said, theirs in texts if said == theirs or not said] == []
    assert page.attributes["lang"] == language
    assert (HELP / language / str(page.attributes["href"])).samefile(HELP / "help.css")


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_are_those_of_the_dialog(language: str) -> None:
    """A page calls each control and choice as the catalog does."""
    catalog, english = known(language), Page("en").names()
    for name, theirs in zip(Page(language).names(), english, strict=True):
        if theirs in _OWN | {_MENU}:
            assert name != theirs
        else:
            assert name == catalog[theirs]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_menu_is_gimps(gimp: Gimp, language: str) -> None:
    """A page names the menu as GIMP's own translation does."""
    words = gettext.translation("gimp30", gimp.place / "usr/share/locale", languages=[language])
    menus = [words.pgettext("filters-action", text) for text in ("Filte_rs", "En_hance")]
    assert " ▸ ".join(map(label, menus)) in Page(language).names()


def test_each_language_has_its_page() -> None:
    """All that the catalogs have, and English, each with GIMP's index."""
    catalogs = translations.compiled_path(Path("de.po")).parents[2]
    assert sorted(path.name for path in catalogs.iterdir()) == LANGUAGES
    indexes = {path.parent.name: path.read_text() for path in HELP.glob("*/gimp-help.xml")}
    assert sorted(indexes) == sorted(["en", *LANGUAGES])
    [index] = set(indexes.values())
    assert 'drht:id="plug-in-drht-recover-exposure" ref="index.html"' in index


class Reader:
    """GIMP on a screen with a picture, and a browser that notes what it is told to show."""

    def __init__(self, gimp: Gimp, language: str = "") -> None:
        gimp.add_plug_ins("help", "web-browser")
        gimp.install()
        (gimp.profile / "shortcutsrc").write_text(SHORTCUT)
        self._seen = gimp.folder / "seen"
        applications = gimp.folder / "data" / "applications"
        applications.mkdir(parents=True)
        (applications / "browser.desktop").write_text(_BROWSER.format(seen=self._seen))
        kinds = ("text/html", "x-scheme-handler/file", "application/xhtml+xml")
        (applications / "mimeapps.list").write_text(
            "[Default Applications]\n" + "".join(f"{kind}=browser.desktop\n" for kind in kinds)
        )
        picture = gimp.folder / "bridge.png"
        pyvips.Image.new_from_file(str(PICTURE)).write_to_file(str(picture))
        data = f"{gimp.folder / 'data'}:/usr/local/share:/usr/share"
        self.screen = Screen(gimp, "1366x768", XDG_DATA_DIRS=data, LANGUAGE=language)
        self.screen.open(picture)

    def page(self, window: str, *keys: str) -> Path:
        """The page that is shown when keys are pressed in a window."""
        self._seen.unlink(missing_ok=True)
        self.screen.press(window, *keys, until=self._is_told)
        return Path(self._seen.read_text().strip().removeprefix("file://"))

    def open_dialog(self) -> None:
        """Open the dialog, in any language."""
        screen = self.screen
        screen.press(screen.image, "ctrl+alt+h", until=lambda: screen.is_open(ANY_DIALOG))

    def close_dialog(self) -> None:
        """Close the dialog."""
        screen = self.screen
        screen.press(ANY_DIALOG, "Escape", until=lambda: not screen.is_open(ANY_DIALOG))

    def _is_told(self) -> bool:
        return self._seen.exists() and bool(self._seen.read_text())


@contextmanager
def reading(gimp: Gimp, language: str = "") -> Iterator[Reader]:
    """GIMP in a language, on a screen."""
    reader = Reader(gimp, language)
    try:
        yield reader
    finally:
        reader.screen.close()


def test_help_is_our_own_page(gimp: Gimp) -> None:
    """F1 and the button in the dialog open the installed page, and F1 on the menu's entry."""
    page = gimp.profile / "plug-ins/drht/help/en/index.html"
    with reading(gimp) as reader:
        if gimp.version == "3.0":  # 3.2 takes no F1 in its menus
            menu = "Escape", "Escape", "Escape", "alt+r", "h", "Up", "F1"
            assert reader.page(reader.screen.image, *menu) == page
            reader.screen.keys("Escape", "Escape", "Escape")
        reader.open_dialog()
        for key in ("F1", "alt+h"):
            assert reader.page(ANY_DIALOG, key) == page
        assert "<h1>Recover Exposure (DRHT)</h1>" in page.read_text()
        reader.close_dialog()


@pytest.mark.parametrize(("language", "page"), [("pt:es_MX:de", "es"), ("xx", "en")])
def test_the_page_is_in_the_users_language(gimp: Gimp, language: str, page: str) -> None:
    """Of the languages that GIMP runs in, the first that there is; else English."""
    with reading(gimp, language) as reader:
        reader.open_dialog()
        shown = reader.page(ANY_DIALOG, "F1")
        assert shown == gimp.profile / "plug-ins/drht/help" / page / "index.html"
        reader.close_dialog()
