"""Values of the protocol's types, for hypothesis."""

from eth_utils.address import to_checksum_address
from hypothesis import strategies as st

from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import Assurance, Outcome, Privacy, Query, ShardOutcome

WORDS = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**256 - 1)
SUMS = st.integers(0, 10**18)
TIMES = st.integers(0, 2**40)
ADDRESSES = st.binary(min_size=20, max_size=20).map(to_checksum_address)

RULES = st.builds(
    QueryParameters,
    miners_bps=st.integers(0, 5_000),
    oracle_bps=st.integers(0, 2_000),
    royalty_bps=st.integers(0, 2_000),
    reviewers_bps=st.integers(0, 1_000),
    oracle_turn=st.integers(1, 2**16 - 1),
    oracle_turns=st.integers(1, 8),
    prover_turn=st.integers(1, 2**16 - 1),
    prover_turns=st.integers(1, 8),
    answer_window=st.integers(1, 2**32 - 1),
    claim_window=st.integers(1, 2**32 - 1),
    dispute_window=st.integers(1, 2**32 - 1),
    defence_window=st.integers(1, 2**24 - 1),
    move_window=st.integers(1, 2**24 - 1),
)

QUERIES = st.builds(
    Query,
    query_id=NUMBERS,
    requester=ADDRESSES,
    version_id=WORDS,
    input_digest=WORDS,
    output_edge=WORDS,
    assurance=st.sampled_from(Assurance),
    privacy=st.sampled_from(Privacy),
    shards=st.integers(1, 8),
    replicas=st.integers(1, 8),
    base_fee=SUMS,
    proof_fee=SUMS,
    callback_fee=SUMS,
    callback_gas=st.integers(0, 2**32),
    epoch=TIMES,
    seat_counts=st.integers(0, 2**216 - 1),
    parameters=RULES.map(QueryParameters.pack),
    opened_at=TIMES,
    answer_deadline=TIMES,
    attempt=st.integers(0, 2),
    seed_block=TIMES,
)

SHARD_OUTCOMES = st.builds(
    ShardOutcome,
    round=st.integers(0, 2**32),
    out_digest=WORDS,
    set_digest=WORDS,
    members_digest=WORDS,
    paid=st.integers(0, 255),
)

OUTCOMES = st.builds(
    Outcome,
    terms_hash=WORDS,
    seed=WORDS,
    output_hash=WORDS,
    reporter=ADDRESSES,
    fulfilled_at=TIMES,
    shards=st.lists(SHARD_OUTCOMES, min_size=1, max_size=8).map(tuple),
)
