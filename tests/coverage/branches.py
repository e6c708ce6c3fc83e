"""The branches of a compiled contract: where the code that the source asked for may go two ways.

The compiler's own checks (calldata, overflow, bounds) are no branches of the source and not
counted; what a module's code decides counts once, however many contracts have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vyper.ast import nodes
from vyper.compiler.settings import anchor_settings
from vyper.ir import compile_ir

JUMPI: Final = 0x57
DECISIONS: Final = (nodes.Assert, nodes.BoolOp, nodes.For, nodes.If, nodes.IfExp)


@dataclass(frozen=True, slots=True, order=True)
class Decision:
    """One place of the source that decides; `text` is what stands there."""

    file: str
    line: int
    column: int
    kind: str
    text: str = field(compare=False)


Sites = dict[int, Decision]
"""Decisions by the program counter of their jump."""


def decisions(compiled: Any, root: Path) -> Iterator[tuple[bytes, Sites]]:
    """Runtime and creation code of a `CompilerData`, each with the decisions below `root`."""
    yield _sites(compiled.bytecode_runtime, compiled.source_map, root)
    with anchor_settings(compiled.settings):
        _, creating = compile_ir.assembly_to_evm(compiled.assembly)
    yield _sites(compiled.bytecode, creating, root)


def _sites(code: bytes, source_map: dict[str, Any], root: Path) -> tuple[bytes, Sites]:
    found = {}
    for place, node in source_map["pc_raw_ast_map"].items():
        is_jump = place < len(code) and code[place] == JUMPI
        if is_jump and isinstance(node, DECISIONS):
            file = Path(node.module_node.resolved_path)
            if file.is_relative_to(root):
                found[place] = _decision(str(file.relative_to(root.parent)), node)
    return code, found


def _decision(file: str, node: Any) -> Decision:
    source = str(node.node_source_code)
    if isinstance(node, nodes.For | nodes.If):
        source, *_ = source.splitlines()
    return Decision(
        file, node.lineno, node.col_offset, type(node).__name__, " ".join(source.split())
    )
