"""The GIMP plug-in's translations: `python gimp/translations.py` brings them up to date.

It collects the texts of `gimp/drht` in `gimp/po/drht-plugin.pot`, merges them into each language's
`gimp/po/*.po`, and compiles these to the files in `gimp/drht/locale` that the plug-in reads. To
translate: edit a .po file, and run it again. Needs Babel.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

DOMAIN = "drht-plugin"

_GIMP = Path(__file__).parent
_SOURCES, _TEXTS = _GIMP / "drht", _GIMP / "po"
_TEMPLATE = _TEXTS / f"{DOMAIN}.pot"
_HEADER = f"""\
# Translations of drht_plugin's plug-in for GIMP.
# `python gimp/{Path(__file__).name}` writes this file anew; edit translations only.
#"""


def main() -> None:
    """Bring all files up to date."""
    template = collect()
    _write(_TEMPLATE, template)
    for path in sorted(_TEXTS.glob("*.po")):
        catalog = load(path)
        catalog.update(template, no_fuzzy_matching=True)
        _write(path, catalog)
        compiled = compiled_path(path)
        compiled.parent.mkdir(parents=True, exist_ok=True)
        # A date that varies would change the file.
        catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
        with open(compiled, "wb") as file:
            write_mo(file, catalog)
        missing = [each.id for each in catalog if each.id and not each.string]
        print(f"{path.name}: {len(missing)} missing")


def collect() -> Catalog:
    """Return the texts of the sources."""
    catalog = Catalog(project="drht_plugin", charset="utf-8")
    found = extract_from_dir(
        _SOURCES,
        method_map=[("**.py", "python")],
        keywords={"_": None, "N_": None},
        comment_tags=("Translators:",),
        strip_comment_tags=True,
    )
    for name, line, text, comments, context in found:
        catalog.add(text, None, [(f"drht/{name}", line)], auto_comments=comments, context=context)
    return catalog


def load(path: Path) -> Catalog:
    """Return the translations in a .po file."""
    with open(path, "rb") as file:
        return read_po(file, locale=path.stem, domain=DOMAIN)


def compiled_path(path: Path) -> Path:
    """Return where a .po file is compiled to."""
    return _SOURCES / "locale" / path.stem / "LC_MESSAGES" / f"{DOMAIN}.mo"


def text_of(catalog: Catalog) -> str:
    """Return a catalog as the text of a .po file, which changes with its texts alone."""
    catalog.header_comment, catalog.fuzzy = _HEADER, False
    file = io.BytesIO()
    settings = {"include_lineno": False, "sort_by_file": True, "ignore_obsolete": True}
    write_po(file, catalog, width=100, **settings)
    lines = file.getvalue().decode().splitlines(keepends=True)
    varying = ('"POT-Creation-Date', '"PO-Revision-Date', '"Last-Translator', '"Generated-By')
    kept = "".join(line for line in lines if not line.startswith(varying))
    return kept.rstrip("\n") + "\n"


def _write(path: Path, catalog: Catalog) -> None:
    path.write_text(text_of(catalog), encoding="utf-8")


if __name__ == "__main__":
    main()
