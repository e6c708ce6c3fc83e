"""Which tests judge a mutant, the likeliest judge first."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

from tests.mutation.mutants import Mutant

STORIES: Final = "tests/invariants/test_query_market.py"
"""The whole market on pyrevm: the quickest to set up."""

EXAMPLES: Final = (
    "tests/contracts/examples",
    "tests/contracts/market/test_doubtful_token.py",
    STORIES,
)
MARKET: Final = ("tests/contracts/market", "tests/adversary/test_*", STORIES)
VAULT: Final = (
    "tests/contracts/staking",
    "tests/contracts/market/test_summons.py",
    "tests/invariants/test_stake_vault.py",
    STORIES,
)
SESSIONS: Final = (
    "tests/contracts/market/test_shared_sessions.py",
    "tests/invariants/test_shared_sessions.py",
    "tests/adversary/test_sessions.py",
    "tests/contracts/disputes/test_sue_sessions.py",
    "tests/adversary/disputes/test_shared_suits.py",
)
CONFORMANCE: Final = "tests/conformance"
COURT: Final = ("tests/contracts/disputes", "tests/adversary/disputes/test_*")
JUDGES: Final = (
    "tests/contracts/disputes/test_fold_judge.py",
    "tests/contracts/disputes/test_element_judge.py",
    "tests/conformance/test_judges.py",
)
GAMES: Final = (
    "tests/contracts/disputes/test_element_game.py",
    "tests/conformance/test_element_game.py",
    "tests/contracts/disputes/test_games.py",
)
EVIDENCE: Final = (
    "tests/contracts/disputes/test_show_equivocation.py",
    "tests/contracts/disputes/test_sue.py",
)

AREAS: Final[dict[str, tuple[str, ...]]] = {
    "token": ("tests/contracts/token", STORIES),
    "governance": ("tests/contracts/governance", STORIES),
    "registry": ("tests/contracts/registry", STORIES),
    "staking": VAULT,
    "verification": ("tests/contracts/verification", "tests/conformance/test_instances.py"),
    "market": MARKET,
    "lib": (CONFORMANCE, *MARKET),
    "examples": EXAMPLES,
    "disputes": COURT,
}
"""Folders and files of tests by the folder of the contract."""

OWN_AREAS: Final[dict[str, tuple[str, ...]]] = {
    "nesa_consumer": EXAMPLES,
    "credit_book": MARKET,
    "query_book": MARKET,
    "epoch_clock": VAULT,
    "operator_book": VAULT,
    "seat_lists": VAULT,
    "signature": (*VAULT, *MARKET),
    "tenure": (*VAULT, *MARKET),
    "byte_lanes": JUDGES,
    "judging": JUDGES,
    "opened_leaves": JUDGES,
    "operator_row": JUDGES,
    "FoldJudge": JUDGES,
    "ElementJudge": JUDGES,
    "SharedSessions": SESSIONS,
    "Conviction": (*GAMES, *EVIDENCE),
    "ElementGame": GAMES,
    "element_claims": GAMES,
    "edge_type": ("tests/conformance/test_edge_types.py", "tests/contracts/registry"),
}
"""What modules have instead, and contracts that need only a part of their folder's tests."""


def choose_tests(root: Path, mutant: Mutant) -> list[list[str]]:
    """Tests in the order in which they run until one fails: the likeliest, then all."""
    source = Path(mutant.path)
    areas = OWN_AREAS.get(source.stem, AREAS[source.parent.name])
    files = [file for area in areas for file in _test_files(root, area)]
    if mutant.reason is None and STORIES in files:
        files.sort(key=lambda file: file != STORIES)
    files.sort(key=lambda file: not _is_about(mutant.function, file))
    named = [test for file in files for test in _tests_that_say(root / file, mutant.reason)]
    likely = [f"{file}::{test}" for file, test in _split(root, named)]
    return [likely or files[:1], files]


def _test_files(root: Path, area: str) -> list[str]:
    if (root / area).is_dir():
        found = sorted((root / area).rglob("test_*.py"))
    else:
        found = sorted(path for path in root.glob(area) if path.suffix == ".py") or sorted(
            root.glob(f"{area}.py")
        )
    texts = {path: _text(path) for path in found}
    return [str(p.relative_to(root)) for p, text in texts.items() if _needs_contracts(text)]


def _needs_contracts(text: str) -> bool:
    return bool(re.search(r"\b(boa|world|harness|judges|RevmChain|MarketWorld|vault)\b", text))


def _is_about(function: str, file: str) -> bool:
    return Path(file).stem == f"test_{function.strip('_')}"


def _tests_that_say(path: Path, reason: str | None) -> list[tuple[Path, str]]:
    """Tests whose text has the reason that the mutant no longer gives."""
    text = _text(path)
    if reason is None or reason not in text:
        return []
    tests = _tests_in(_tree(path), "")
    return [(path, n) for n, t in tests if reason in (ast.get_source_segment(text, t) or "")]


def _tests_in(scope: ast.Module | ast.ClassDef, prefix: str) -> list[tuple[str, ast.FunctionDef]]:
    """Test functions as pytest names them, those of classes included."""
    found = []
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            found += _tests_in(node, f"{prefix}{node.name}::")
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found.append((f"{prefix}{node.name}", node))
    return found


def _split(root: Path, named: list[tuple[Path, str]]) -> list[tuple[str, str]]:
    return [(str(path.relative_to(root)), test) for path, test in named]


@cache
def _text(path: Path) -> str:
    return path.read_text()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path))
