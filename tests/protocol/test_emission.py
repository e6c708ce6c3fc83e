"""Washing, asking oneself to be paid new NES, loses whatever governance and prices are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.protocol.emission import MAX_SHARE_BPS, Schedule, reward_of
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Amount
from nesa.protocol.parameters import BPS, QueryParameters
from nesa.protocol.queries import Query
from tests.conformance.strategies import QUERIES

MAX_ROYALTY_BPS = 2_000
WHOLE_SUPPLY = 10**18


@st.composite
def governed_rules(draw: st.DrawFn, rules: QueryParameters) -> QueryParameters:
    """Shares that `ProtocolParameters` would take, with a royalty that the registry would."""
    left = BPS - MAX_ROYALTY_BPS
    miners = draw(st.integers(0, left))
    oracle = draw(st.integers(0, left - miners))
    reviewers = draw(st.integers(0, left - miners - oracle))
    royalty = draw(st.integers(0, MAX_ROYALTY_BPS))
    return replace(
        rules,
        miners_bps=miners,
        oracle_bps=oracle,
        reviewers_bps=reviewers,
        royalty_bps=royalty,
    )


@st.composite
def governed_queries(draw: st.DrawFn) -> Query:
    """Queries of any price, shape and share that governance can set within its bounds."""
    query = draw(QUERIES)
    rules = draw(governed_rules(query.rules))
    small = st.integers(0, 10**6) | st.integers(0, WHOLE_SUPPLY // 3)
    return replace(
        query,
        shards=draw(st.integers(1, 8)),
        replicas=draw(st.integers(1, 8)),
        base_fee=Amount(draw(small)),
        proof_fee=Amount(draw(small)),
        callback_fee=Amount(draw(small)),
        parameters=rules.pack(),
    )


@settings(max_examples=2_000, deadline=None)
@given(
    query=governed_queries(),
    share=st.integers(0, MAX_SHARE_BPS),
    budget=st.integers(0, WHOLE_SUPPLY),
    data=st.data(),
)
def test_washing_loses_whatever_the_numbers_are(query, share, budget, data):
    slots = query.shards * query.replicas
    paid = data.draw(st.integers(0, slots))
    split, reward = split_fee(query), reward_of(query, share, budget)
    # Everything that one party can hold: client, members, oracles, developer, even the reviewers.
    returned = (slots - paid) * split.slot
    earned = paid * split.slot + split.oracle + split.delivery + split.royalty + split.reviewers
    minted = reward.total(paid)
    lost = query.fee - returned - earned - minted
    assert lost >= split.treasury * (BPS - MAX_SHARE_BPS) // BPS
    assert lost > 0 or split.treasury == minted == 0


@given(query=governed_queries(), share=st.integers(0, MAX_SHARE_BPS), data=st.data())
def test_a_query_mints_no_more_than_the_share(query, share, data):
    paid = data.draw(st.integers(0, query.shards * query.replicas))
    minted = reward_of(query, share, WHOLE_SUPPLY).total(paid)
    assert minted <= split_fee(query).treasury * share // BPS


@given(first=st.integers(0, WHOLE_SUPPLY), halving=st.integers(1, 5_000))
def test_all_budgets_are_twice_the_first_half_life(first, halving):
    schedule = Schedule(Amount(first), halving)
    budgets = [schedule.budget(halving * half_life) for half_life in range(70)]
    assert sum(budgets) * halving <= 2 * first * halving
    assert budgets[-1] == 0
    assert budgets == sorted(budgets, reverse=True)
