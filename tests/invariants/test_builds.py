"""Builds for gas, for size and by the new code generator behave alike.

A compiler's optimiser can be wrong in one way and not in another: whatever all of them agree on is
what the source says. Return data, revert data and events are compared in every call, and with
the views that the machine reads after each step all that can be seen of storage.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from vyper import exceptions

from scripts.operator_cases import CASES
from tests.invariants.builds import UNBUILT, BuildsChain
from tests.invariants.test_dispute_court import DisputeCourtMachine
from tests.invariants.test_query_market import NO_SHRINKING, QueryMarketMachine
from tests.judging import Judges, check_table, witness_of
from tests.revm import Build, RevmChain, compiled_as


class BuildsMachine(QueryMarketMachine):
    """The market's machine over all builds at once."""

    calls: ClassVar[Counter[str]] = Counter()
    chain_type: ClassVar[type[RevmChain]] = BuildsChain


class BuildsCourtMachine(DisputeCourtMachine):
    """The court's machine over all builds at once."""

    calls: ClassVar[Counter[str]] = Counter()
    chain_type: ClassVar[type[RevmChain]] = BuildsChain


@pytest.mark.timeout(600)
def test_builds_of_the_market_behave_alike() -> None:
    limits = settings(max_examples=12, stateful_step_count=50, deadline=None, phases=NO_SHRINKING)
    before = BuildsChain.compared
    run_state_machine_as_test(BuildsMachine, settings=limits)
    assert BuildsChain.compared - before > 10_000


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_builds_of_the_market_behave_alike_for_long() -> None:
    limits = settings(max_examples=300, stateful_step_count=150, deadline=None)
    run_state_machine_as_test(BuildsMachine, settings=limits)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_builds_of_the_court_behave_alike() -> None:
    limits = settings(max_examples=60, stateful_step_count=60, deadline=None, phases=NO_SHRINKING)
    run_state_machine_as_test(BuildsCourtMachine, settings=limits)


@pytest.mark.deep
@pytest.mark.timeout(1_800)
def test_builds_of_the_judges_behave_alike() -> None:
    judges = Judges.deploy(BuildsChain())
    for name, case in CASES.items():
        for inputs in case.runs:
            witness = witness_of(case.table, inputs)
            check_table(judges, witness, 3, np.random.default_rng(len(name)))


@pytest.mark.parametrize(("path", "build"), UNBUILT)
def test_what_cannot_be_built_still_cannot(path: str, build: Build) -> None:
    """When this fails the compiler has been mended: take the entry out of `UNBUILT`."""
    error = getattr(exceptions, UNBUILT[path, build])
    with pytest.raises(error):
        compiled_as(path, build)


def test_a_build_that_behaves_otherwise_is_noticed() -> None:
    chain = BuildsChain()
    token = chain.deploy("contracts/token/NesToken", "0x" + "11" * 20, 5)
    chain.twins[Build.CODESIZE].evm.insert_account_storage(token.address, 0, 1)
    for slot in range(12):
        chain.twins[Build.CODESIZE].evm.insert_account_storage(token.address, slot, 1)
    with pytest.raises(AssertionError, match="CODESIZE ends otherwise"):
        token.totalSupply()
