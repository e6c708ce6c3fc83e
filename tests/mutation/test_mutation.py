"""The mutation tool finds what it should and tells the living from the dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.__main__ import Memory, Row, complaints, explained, mutants_of
from tests.mutation.mutants import Mutant
from tests.mutation.selection import choose_tests
from tests.mutation.workshop import ROOT, Judgement, Verdict, Workshop

TOKEN = "contracts/token/NesToken.vy"
MINTER_RULE = 'assert msg.sender == self.minter, "token: not the minter"'


@pytest.fixture(scope="module")
def token_mutants() -> dict[str, Mutant]:
    return {mutant.statement: mutant for mutant in mutants_of(["NesToken"])}


def test_rules_and_state_are_found(token_mutants: dict[str, Mutant]) -> None:
    assert token_mutants[MINTER_RULE].reason == "token: not the minter"
    assert "self.minter = minter" in token_mutants
    assert "erc20._mint(account, amount)" in token_mutants


def test_a_rule_over_several_lines_goes_as_a_whole() -> None:
    (mutant,) = mutants_of(["ModelRegistry"], "registry: proof refused")
    source = (ROOT / mutant.path).read_text()
    assert mutant.last > mutant.first
    assert "registry: proof refused" not in mutant.apply(source)
    assert mutant.apply(source).count("\n") == source.count("\n") - (mutant.last - mutant.first)


def test_every_contract_has_mutants() -> None:
    found = {Path(mutant.path).stem for mutant in mutants_of([])}
    assert {"QueryMarket", "Committee", "StakeVault", "ModelRegistry", "credit_book"} <= found
    assert len(mutants_of([])) > 300


def test_the_likeliest_test_comes_first(token_mutants: dict[str, Mutant]) -> None:
    tests = choose_tests(ROOT, token_mutants[MINTER_RULE])
    assert tests[0][0].startswith("tests/contracts/token/test_mint.py::")


def test_tests_in_classes_are_found_by_their_reason() -> None:
    (mutant,) = mutants_of(["SharedSessions"], "sessions: listed before")
    (test, *_) = choose_tests(ROOT, mutant)[0]
    assert test.startswith("tests/contracts/market/test_shared_sessions.py::TestListProducts::")


def test_what_killed_a_mutant_before_judges_it_first(
    token_mutants: dict[str, Mutant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.mutation.__main__.WORKSHOPS", tmp_path)
    mutant, file = token_mutants[MINTER_RULE], "tests/contracts/token/test_mint.py"
    killed = Judgement(Verdict.KILLED, f"{file}::test_others_revert[1]")
    before, after = Memory(ROOT, mutant, "as it was"), Memory(ROOT, mutant, "as it is")
    before.write(killed)
    assert (before.read(), after.read()) == (killed, None)
    assert after.killers() == [[f"{file}::test_others_revert"]]
    before.write(Judgement(Verdict.KILLED, f"{file}::test_that_is_gone"))
    assert after.killers() == []


def test_explained_survivors_exist() -> None:
    names = {mutant.name for mutant in mutants_of([])}
    assert explained().keys() <= names


def test_a_missing_rule_is_noticed_and_a_whole_contract_is_not(
    token_mutants: dict[str, Mutant], tmp_path: Path
) -> None:
    mutant, source = token_mutants[MINTER_RULE], (ROOT / TOKEN).read_text()
    tests = [["tests/contracts/token/test_mint.py"]]
    with Workshop(tmp_path / "tree", is_warm=False) as workshop:
        whole = workshop.judge(TOKEN, source, tests, 120)
        lacking = workshop.judge(TOKEN, mutant.apply(source), tests, 120)
        broken = workshop.judge(TOKEN, source + "nonsense", tests, 120)
        assert (workshop.tree / TOKEN).read_text() == source
    assert whole.verdict is Verdict.SURVIVED
    assert lacking.verdict is Verdict.KILLED
    assert lacking.killer.startswith("tests/contracts/token/test_mint.py::")
    assert broken.verdict is Verdict.STILLBORN


def test_only_the_unexplained_and_the_stale_are_complained_about(
    token_mutants: dict[str, Mutant],
) -> None:
    living = Row(token_mutants[MINTER_RULE], Judgement(Verdict.SURVIVED))
    dead = Row(token_mutants[MINTER_RULE], Judgement(Verdict.KILLED))
    assert complaints([dead]) == []
    assert complaints([living]) == [f"nobody noticed: {TOKEN}::mint: {MINTER_RULE}"]
