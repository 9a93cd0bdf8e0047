"""Small changes of a module's source, each of which a test should notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
OTHER_CALL = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}

CHECKS = {"strict"}
"""Keywords that check what the code itself made: nothing changes without them."""


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        path: of the module.
        line: from 1.
        function: qualified name, as `__qualname__`; "" for the module's own statements.
        before, after: what is around the change, on one line.
        source: the whole module, changed.
    """

    path: Path
    line: int
    function: str
    before: str
    after: str
    source: bytes

    @property
    def key(self) -> str:
        """What tells it from others, wherever the function is moved."""
        return f"{self.function or 'module'}: {self.before} → {self.after}"


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    source = path.read_bytes()
    found = []
    for function, node, text in _changes(ast.parse(source), ""):
        changed, before, after = _replaced(source, node, text)
        try:
            ast.parse(changed)
        except SyntaxError:
            continue
        found.append(Mutant(path, node.lineno, function, before, after, changed))
    return sorted(found, key=lambda mutant: (mutant.line, mutant.before, mutant.after))


Change = tuple[str, "ast.expr | ast.stmt", str]


def _changes(node: ast.AST, function: str) -> Iterator[Change]:
    """(function, what is replaced, by which text) of all that is below a node."""
    if isinstance(node, ast.expr | ast.stmt) and not _for_types_alone(node):
        yield from ((function, *change) for change in _of_node(node))
    inside = function
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        inside = f"{function}.{node.name}" if function else node.name
        if isinstance(node, ast.FunctionDef):
            yield from ((inside, *change) for change in _of_function(node))
    for child in _looked_at(node):
        local = isinstance(node, ast.FunctionDef) and isinstance(child, ast.FunctionDef)
        yield from _changes(child, f"{inside}.<locals>" if local else inside)


def _looked_at(node: ast.AST) -> Iterator[ast.AST]:
    """The children whose change means something: no text, annotation, decorator or message."""
    if isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom | ast.Assert):
        return
    if _for_types_alone(node):
        return
    if isinstance(node, ast.Assign) and "__all__" in ast.unparse(node.targets[0]):
        return
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "bases"}:
            continue
        yield from (v for v in (value if isinstance(value, list) else [value]) if _is_node(v))


def _for_types_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _is_node(value: object) -> bool:
    return isinstance(value, ast.AST)


def _of_node(node: ast.expr | ast.stmt) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    def with_change(change: Callable[[ast.AST], None]) -> tuple[ast.expr | ast.stmt, str]:
        other = copy.deepcopy(node)
        change(other)
        return node, f"({ast.unparse(other)})"

    match node:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                new = COMPARISONS[type(op)]()
                yield with_change(lambda other, i=i, new=new: other.ops.__setitem__(i, new))  # type: ignore[misc]
        case ast.BinOp(op=sign) if type(sign) in ARITHMETIC:
            yield with_change(lambda other: setattr(other, "op", ARITHMETIC[type(sign)]()))
        case ast.BoolOp(op=join):
            joined = ast.Or() if isinstance(join, ast.And) else ast.And()
            yield with_change(lambda other: setattr(other, "op", joined))
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield node, f"({ast.unparse(operand)})"
        case ast.IfExp(test=test):
            yield test, f"(not ({ast.unparse(test)}))"
        case ast.If(test=test) | ast.While(test=test):
            yield test, f"(not ({ast.unparse(test)}))"
        case ast.Constant(value=bool() as value):
            yield node, str(not value)
        case ast.Constant(value=int() as value):
            yield node, str(value + 1)
        case ast.Constant(value=float() as value):
            yield node, repr(value * 2 if value else 1.0)
        case ast.Call():
            yield from _of_call(node, with_change)
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.AugAssign() | ast.Delete():
            yield node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.Break():
            yield node, "continue"
        case ast.Continue():
            yield node, "break"
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield node, "return None"
        case _:
            pass


def _of_call(
    node: ast.Call, with_change: Callable[..., tuple[ast.expr | ast.stmt, str]]
) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    for i, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg not in CHECKS:
            yield with_change(lambda other, i=i: other.keywords.pop(i))
    match node.func:
        case ast.Name(id=name) if name in OTHER_CALL:
            yield node.func, OTHER_CALL[name]
        case ast.Attribute(value=owner, attr=name) if name in OTHER_CALL:
            yield node.func, f"{ast.unparse(owner)}.{OTHER_CALL[name]}"
        case _:
            pass


def _of_function(node: ast.FunctionDef) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """A function that is only called for what it does returns at once."""
    if any(isinstance(each, ast.Return | ast.Yield | ast.YieldFrom) for each in ast.walk(node)):
        return
    body = node.body[1:] if ast.get_docstring(node) else node.body
    if len(body) > 1:
        yield body[0], "return"


def _replaced(source: bytes, node: ast.expr | ast.stmt, text: str) -> tuple[bytes, str, str]:
    """The source with another text for a node; the line before and after."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    first = starts[node.lineno - 1] + node.col_offset
    last = starts[node.end_lineno - 1] + node.end_col_offset
    left, right = starts[node.lineno - 1], starts[node.end_lineno]
    bare = text[1:-1] if text.startswith("(") else text
    before, after = (
        " ".join((source[left:first].decode() + part + source[last:right].decode()).split())
        for part in (ast.unparse(node), bare)
    )
    return source[:first] + text.encode() + source[last:], *_around(before, after)


def _around(before: str, after: str, room: int = 40) -> tuple[str, str]:
    """Two texts without most of what they have in common before and after their difference."""
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    start, end = max(0, start - room), max(0, end - room)
    cut = ("…" if start else "", "…" if end else "")
    one, other = (text[start : len(text) - end] for text in (before, after))
    return f"{cut[0]}{one}{cut[1]}", f"{cut[0]}{other}{cut[1]}"


def _alike(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


def modules(paths: list[Path]) -> list[Path]:
    """The modules among files and below folders, sorted."""
    files = (sorted(path.rglob("*.py")) if path.is_dir() else [path] for path in paths)
    return sorted({file for several in files for file in several})
