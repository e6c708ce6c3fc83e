"""Branches are found where the source decides, and counted as they were taken."""

from __future__ import annotations

from tests.coverage.__main__ import missing, name, rows, stale, table, unreachable
from tests.coverage.branches import Decision, decisions
from tests.deployment import ROOT, deployer

FIRST = Decision("a.vy", 3, 4, "Assert", 'assert x, "a: no x"')
SECOND = Decision("a.vy", 9, 4, "If", "if y: pass")
OTHER = Decision("b.vy", 1, 0, "For", "for z in zs: pass")


def test_a_decision_has_two_branches():
    (one,) = rows({FIRST: {True, False}, SECOND: {True}})
    assert (one.branches, one.taken, one.share) == (4, 3, 75.0)


def test_files_have_rows_of_their_own():
    text = table(rows({OTHER: {True, False}, FIRST: set()}))
    assert text.splitlines()[2:] == ["| a.vy | 2 | 0 | 0 | 0.0 |", "| b.vy | 2 | 2 | 0 | 100.0 |"]


def test_what_was_not_taken_is_named_with_its_place():
    lines = missing(rows({FIRST: {True}, SECOND: set(), OTHER: {True, False}})).splitlines()
    assert lines == [
        'a.vy:3: goes one way only: assert x, "a: no x"',
        "a.vy:9: never reached: if y: pass",
    ]


def test_what_is_explained_counts_neither_way():
    taken = {FIRST: {True}, SECOND: {True, False}}
    (one,) = rows(taken, {name(FIRST): "nobody lives that long"})
    assert (one.branches, one.taken, one.explained, one.share) == (4, 3, 1, 100.0)
    assert missing([one]) == ""


def test_explanations_of_what_was_taken_or_is_gone_are_stale():
    taken = {FIRST: {True}, SECOND: {True, False}}
    assert stale(taken, [name(FIRST)]) == []
    assert stale(taken, [name(SECOND), "c.vy: gone"]) == [name(SECOND), "c.vy: gone"]


def test_every_explanation_has_a_reason():
    assert all(unreachable().values())


def test_decisions_of_a_contract_and_of_its_modules_are_found_and_those_of_others_not():
    compiled = deployer("token/NesToken").compiler_data
    (_, running), (_, creating) = decisions(compiled, ROOT / "contracts")
    texts = {decision.text for decision in running.values()}
    assert 'assert msg.sender == self.minter, "token: not the minter"' in texts
    assert not any("erc20:" in text for text in texts), "the standard part is not below contracts/"
    assert {one.file for one in running.values()} == {"contracts/token/NesToken.vy"}
    assert 'assert genesis_supply <= CAP, "token: over the cap"' in {
        decision.text for decision in creating.values()
    }


def test_a_module_counts_once_for_all_contracts_that_have_it():
    found = []
    for contract in ("staking/StakeVault", "market/Committee"):
        (_, running), _ = decisions(deployer(contract).compiler_data, ROOT / "contracts")
        found.append({one for one in running.values() if one.file.endswith("lib/signature.vy")})
    assert found[0] == found[1] != set()
