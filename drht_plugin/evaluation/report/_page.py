"""HTML of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from drht_plugin.evaluation.lineup import OURS
from drht_plugin.evaluation.report._examples import Example
from drht_plugin.evaluation.report._style import SCRIPT, STYLE
from drht_plugin.evaluation.scores import SCORES
from drht_plugin.evaluation.summary import ALL, Cell, Table, heading, texts

# The browser itself blocks every request to the network.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(
    head: Mapping[str, Any],
    tables: Sequence[Table],
    shown: Sequence[Example],
    failures: Mapping[str, str],
) -> str:
    """Format the report; equal arguments give equal text.

    Args:
        head: versions and parameters of the run, as in the JSON.
        tables: the tables.
        shown: pictures for the before/after sliders; may be empty.
        failures: item → reason why it was left out.

    Returns:
        HTML text.
    """
    metrics = dict.fromkeys(metric for table in tables for metric in table.metrics)
    whole = [_table(table) for table in tables if table.group == ALL]
    by_group = [_table(table) for table in tables if table.group != ALL]
    parts = [
        "<h1>Exposure correction, measured</h1>",
        f'<p class="soft">drht_plugin {escape(str(head["drht_plugin"]))}</p>',
        _failures(failures),
        _section("All pictures", _NOTE, *whole) if whole else "<p>No picture was measured.</p>",
        _section("Before and after", _examples(shown)),
        _section("By group", *by_group) if by_group else "",
        _section("Metrics", _definitions({m: _about(m) for m in metrics})) if metrics else "",
        _section("Versions and parameters", _definitions(_flat(head))),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Exposure correction, measured</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )


_NOTE = (
    '<p class="soft">Means with 95 % bootstrap intervals. The star marks the best mean of a '
    "column; the arrow shows which direction is better.</p>"
)


def _section(title: str, *parts: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def _failures(failures: Mapping[str, str]) -> str:
    if not failures:
        return ""
    lines = {name: escape(why) for name, why in failures.items()}
    return _section(f"Left out: {len(failures)}", _definitions(lines))


def _about(metric: str) -> str:
    better = {True: "; higher is better", False: "; lower is better", None: ""}
    return escape(SCORES[metric].about + better[SCORES[metric].higher_is_better])


def _definitions(entries: Mapping[str, str]) -> str:
    """Format entries as a definition list; the values must be HTML."""
    lines = "\n".join(f"<dt>{escape(k)}</dt><dd>{v}</dd>" for k, v in entries.items())
    return f"<dl>\n{lines}\n</dl>"


def _flat(head: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested values, with their values escaped."""
    entries: dict[str, str] = {}
    for key, value in head.items():
        if isinstance(value, Mapping):
            entries |= _flat(value, f"{prefix}{key}: ")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            entries[prefix + key] = escape(text)
    return entries


def _table(table: Table) -> str:
    title = escape(table.title)
    heads = "".join(f'<th scope="col">{escape(heading(m))}</th>' for m in table.metrics)
    best = [table.best(metric) for metric in table.metrics]
    lines = "\n".join(
        f'<tr{" class=ours" if method.startswith(OURS) else ""}><th scope="row">{escape(method)}'
        "</th>" + "".join(map(_cell, cells, best)) + "</tr>"
        for method, cells in table.lines.items()
    )
    # A wide table scrolls in a box of its own, which can be focused with the keyboard.
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{title}">\n<table>\n'
        f"<caption>{title}</caption>\n"
        f'<thead><tr><th scope="col">method</th>{heads}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody>\n</table>\n</div>"
    )


def _cell(cell: Cell | None, best: float | None) -> str:
    if cell is None:
        return "<td></td>"
    mean, interval = texts(cell)
    mark = ' class="best"' if cell.mean == best else ""
    return f"<td><span{mark}>{mean}</span><small>{interval}</small></td>"


def _examples(shown: Sequence[Example]) -> str:
    if not shown:
        return f"<p>No pictures: the PSNR of {OURS} was not measured.</p>"
    hint = (
        '<p class="soft">Drag the line, or focus a picture and press the arrow keys. The input is '
        "on the left of the line, the correction on the right.</p>"
    )
    return "\n".join([hint, *map(_example, shown)])


def _example(example: Example) -> str:
    name = escape(example.name)
    size = f'width="{example.width}" height="{example.height}"'
    label = f"Input on the left, corrected on the right: {name}"
    return f"""\
<figure>
<h3>{example.rank.capitalize()} of {OURS}: {name}</h3>
<div class="stage" style="width: {example.width}px">
<img class="before" {size} src="{example.before}" alt="Input: {name}">
<img class="after" {size} src="{example.after}" alt="Corrected: {name}">
<input type="range" min="0" max="100" value="50" aria-label="{label}">
</div>
<figcaption class="sides" style="max-width: {example.width}px">
<span>input, {example.psnr_before:.2f} dB</span>
<span>corrected, {example.psnr_after:.2f} dB</span>
</figcaption>
<details><summary>Reference</summary>
<img {size} src="{example.reference}" alt="Reference: {name}"></details>
</figure>"""
