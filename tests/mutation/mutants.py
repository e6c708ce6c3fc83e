"""Finds the lines of a contract that a mutant lacks: safety rules, accounting and state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import vyper.ast
from vyper.ast import nodes

REASON: Final = re.compile(r'"([a-z]+: [^"]+)"')


@dataclass(frozen=True, slots=True)
class Mutant:
    """One source file without one statement."""

    path: str
    function: str
    statement: str
    first: int
    last: int

    @property
    def reason(self) -> str | None:
        """What the missing rule would have said."""
        found = REASON.search(self.statement)
        return found[1] if found else None

    @property
    def name(self) -> str:
        """What survivors are known by; line numbers change too often for that."""
        return f"{self.path}::{self.function}: {self.statement}"

    def apply(self, source: str) -> str:
        """The source without the statement."""
        lines = source.splitlines(keepends=True)
        indent = re.match(r"\s*", lines[self.first - 1])
        assert indent is not None
        lines[self.first - 1 : self.last] = [indent[0] + "pass\n"]
        return "".join(lines)


def find_mutants(root: Path, path: str) -> list[Mutant]:
    """Every mutant of the file at `path` below `root`."""
    source = (root / path).read_text()
    lines = source.splitlines()
    found = []
    for function in vyper.ast.parse_to_ast(source).get_children(nodes.FunctionDef):
        for statement in function.get_descendants(nodes.VyperNode, reverse=False):
            if _is_rule_or_state(statement):
                found.append(_mutant(path, function.name, statement, lines))
    return sorted(set(found), key=lambda mutant: mutant.first)


def _is_rule_or_state(node: Any) -> bool:
    if isinstance(node, nodes.Assert | nodes.AugAssign):
        return True
    if isinstance(node, nodes.Assign):
        return isinstance(node.target, nodes.Attribute | nodes.Subscript)
    if isinstance(node, nodes.Expr):
        docstring = isinstance(node.value, nodes.Str)
        return not docstring and not _is_constructor_call(node)
    return False


def _is_constructor_call(node: Any) -> bool:
    return "__init__" in node.node_source_code


def _mutant(path: str, function: str, node: Any, lines: list[str]) -> Mutant:
    text = " ".join(line.strip() for line in lines[node.lineno - 1 : node.end_lineno])
    return Mutant(path, function, re.sub(r"\s*#.*", "", text), node.lineno, node.end_lineno)
