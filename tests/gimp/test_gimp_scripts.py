"""The procedure as scripts see it: what it says of itself, and the examples of the documents."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import pyvips
from gimp_harness import Gimp

import drht_plugin

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs/how-to/gimp.md"
PICTURE = CHECKOUT / "examples/pictures/golden_gate_dark.jpg"


def example(language: str) -> str:
    """The page's example in a language."""
    text = PAGE.read_text(encoding="utf-8")
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def test_procedure_browser_has_a_text_for_everything(gimp: Gimp) -> None:
    """The procedure, each argument, each choice and the return value say what they are."""
    gimp.install()
    facts = gimp.run("""
procedure = Gimp.get_pdb().lookup_procedure(PROCEDURE)
own = [each for each in procedure.get_arguments() if each.get_name() not in (
    "run-mode", "image", "drawables")]
arguments = {each.get_name(): [each.get_nick(), each.get_blurb()] for each in own}
choices = {}
for each in own:
    if each.__gtype__.name == "GimpParamChoice":
        choice = Gimp.param_spec_choice_get_choice(each)
        choices[each.get_name()] = [
            [choice.get_label(name), choice.get_help(name)] for name in choice.list_nicks()]
report(OUT, blurb=procedure.get_blurb(), help=procedure.get_help(), id=procedure.get_help_id(),
    authors=procedure.get_authors(), date=procedure.get_date(), arguments=arguments,
    choices=choices, returns=[[each.get_nick(), each.get_blurb()]
        for each in procedure.get_return_values()])
""")
    for name in ("blurb", "help", "id", "authors", "date"):
        assert facts[name], name
    assert "layer groups" in facts["help"].lower()
    assert {"strength", "input", "output", "wrap"} <= set(facts["arguments"])
    assert {"detail", "input", "output", "preset"} == set(facts["choices"])
    for name, texts in facts["arguments"].items():
        assert all(texts), name
        nick, blurb = texts
        assert len(blurb) > 10, name
        assert nick.replace("_", "").lower() != blurb.lower(), name
    for name, each in facts["choices"].items():
        assert len(each) > 1
        assert all(label and hint for label, hint in each), name
    assert all(nick and blurb for nick, blurb in facts["returns"])


@pytest.mark.parametrize("language", ["py", "scheme"])
def test_examples_of_the_page(gimp: Gimp, language: str) -> None:
    """The page's examples, in GIMP's Python and in Script-Fu, give what the library gives."""
    gimp.install()
    gimp.add_plug_ins("file-jpeg", "script-fu")
    shutil.copy(PICTURE, gimp.folder / "dark.jpg")
    code = example(language)
    for name in ("dark.jpg", "recovered.png"):
        assert code.count(f'"{name}"') == 1
        code = code.replace(f'"{name}"', f'"{gimp.folder / name}"')
    if language == "scheme":
        code = f"""
evaluator = Gimp.get_pdb().lookup_procedure("plug-in-script-fu-eval")
config = evaluator.create_config()
config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
config.set_property("script", {code!r})
result = evaluator.run(config)
assert result.index(0) == Gimp.PDBStatusType.SUCCESS, result.index(1)
"""
    gimp.run(f"{code}\nreport(OUT)")
    found = pyvips.Image.new_from_file(str(gimp.folder / "recovered.png"))
    given = pyvips.Image.new_from_file(str(PICTURE))
    settings = {"strength": 0.8} if language == "py" else {"preset": "strong"}
    expected = drht_plugin.correct(given.numpy(), **settings)
    difference = np.abs(found.numpy()[..., :3].astype(int) - expected)
    # GIMP may decode JPEG otherwise than libvips, by a code or so.
    assert difference.mean() < 0.5
    assert np.abs(given.numpy().astype(int) - expected).mean() > 20
