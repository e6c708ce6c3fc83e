"""Every contract says what it does, what always holds, and how it says no."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
import vyper.ast
from vyper.ast import nodes

from tests.deployment import ROOT

CONTRACTS = ROOT / "contracts"
SOURCES = sorted([*CONTRACTS.rglob("*.vy"), *CONTRACTS.rglob("*.vyi")])
DEPLOYABLE = [p for p in CONTRACTS.rglob("*.vy") if p.parent.name != "lib"]
MAX_REASON = 32

# `path::test` or `path::Machine.invariant`, as the tags name tests.
TEST_NAME = re.compile(r"(tests/[\w/]+\.py)::([\w.]+)")


def name_of(path: Path) -> str:
    return str(path.relative_to(CONTRACTS))


@cache
def parsed(path: Path) -> nodes.Module:
    return vyper.ast.parse_to_ast(path.read_text())


def docstring(node: nodes.VyperNode) -> str:
    found = getattr(node, "doc_string", None)
    return found.value if found is not None else ""


def is_external(function: nodes.FunctionDef) -> bool:
    names = {getattr(d, "id", "") for d in function.decorator_list}
    return bool(names & {"external", "deploy"})


def tag(path: Path, name: str) -> str:
    """Text of a custom tag of the contract, up to the next tag."""
    found = re.search(rf"@custom:{name} (.*?)(?=\n@|\Z)", docstring(parsed(path)), re.DOTALL)
    return found[1] if found else ""


def reasons(path: Path) -> list[str]:
    """Every text with which the contract reverts."""
    statements = parsed(path).get_descendants((nodes.Assert, nodes.Raise))
    messages = [s.msg if isinstance(s, nodes.Assert) else s.exc for s in statements]
    return [message.value for message in messages if isinstance(message, nodes.Str)]


@cache
def names_in(test_file: Path) -> set[str]:
    """Tests of a file, and the methods of its classes as `Class.method`."""
    found = set()
    for node in ast.parse(test_file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef)]
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_external_function_has_a_notice(path):
    functions = [f for f in parsed(path).get_children(nodes.FunctionDef) if is_external(f)]
    silent = [f.name for f in functions if "@notice" not in docstring(f)]
    assert not silent


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_source_has_title_licence_and_notice(path):
    text = docstring(parsed(path))
    assert all(f"@{word}" in text for word in ("title", "license AGPL-3.0-only", "notice"))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_parameter_is_described_where_one_is(path):
    for function in parsed(path).get_children(nodes.FunctionDef):
        described = set(re.findall(r"@param (\w+)", docstring(function)))
        arguments = {argument.arg for argument in function.args.args}
        assert described in (set(), arguments), function.name


@pytest.mark.parametrize("path", DEPLOYABLE, ids=name_of)
def test_every_invariant_names_a_test_that_exists(path):
    tests = TEST_NAME.findall(tag(path, "invariant"))
    assert tests, "no invariant that names a test"
    unknown = [f"{file}::{test}" for file, test in tests if test not in names_in(ROOT / file)]
    assert not unknown


@pytest.mark.parametrize("path", DEPLOYABLE, ids=name_of)
def test_every_numbered_invariant_names_its_test(path):
    text = tag(path, "invariant")
    assert len(re.findall(r"(?:^|\s)\d\. ", text)) == len(TEST_NAME.findall(text))


@pytest.mark.parametrize("path", DEPLOYABLE, ids=name_of)
def test_every_contract_says_how_it_is_stopped(path):
    assert tag(path, "kill").strip()


def test_reasons_are_short_and_name_their_area():
    found = [reason for path in SOURCES for reason in reasons(path)]
    assert len(found) > 100
    shapeless = [r for r in found if not re.fullmatch(r"[a-z]+: [\w][\w \-']+", r)]
    assert not shapeless
    assert not [reason for reason in found if len(reason.encode()) > MAX_REASON]


def test_every_reason_is_given_in_one_place():
    places = defaultdict(list)
    for path in SOURCES:
        for reason in reasons(path):
            places[reason].append(name_of(path))
    reserved = {reason for reason in places if reason.endswith(": not offered yet")}
    shared = {r: where for r, where in places.items() if len(where) > 1 and r not in reserved}
    assert not shared


def test_no_rule_is_without_a_reason():
    bare = []
    for path in SOURCES:
        for rule in parsed(path).get_descendants(nodes.Assert):
            if rule.msg is None and "extcall" not in rule.node_source_code:
                bare.append(f"{name_of(path)}:{rule.lineno}")
    assert not bare
