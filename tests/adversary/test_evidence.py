"""Attacks with evidence: signatures, sets and proofs that were made for something else."""

from dataclasses import replace

import boa
import pytest
from eth_utils.crypto import keccak

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import ZERO_DIGEST
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Privacy, report_words
from nesa.protocol.signatures import SECP256K1_HALF_ORDER
from tests.deployment import EPOCH_SECONDS
from tests.market import TENSORS, go_to, pass_blocks
from tests.reports import changed, keys_of, signer_address

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
OUTSIDERS = keys_of([f"outsider {number}" for number in range(4)])


def with_results(report, *results):
    return replace(report, results=tuple(results))


@pytest.fixture
def query(world, client):
    return world.request(client)


@pytest.fixture
def work(world, query):
    return world.works(query)[0]


@pytest.mark.parametrize("context", [{"query_id": 2}, {"shard": 1}], ids=["query", "shard"])
def test_evidence_of_another_place_is_worthless(world, query, work, context):
    """The attacker replays a committee's honest work for another query or in another shard."""
    assert_worthless(world, query, work, changed(work, **context))


def assert_worthless(world, query, work, elsewhere):
    """Neither work that was done elsewhere counts, nor signatures given there for true work."""
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [elsewhere.report()])
    report = work.report()
    results = [elsewhere.result(position, report.commitments) for position in range(4)]
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [with_results(report, *results)])


@pytest.mark.parametrize("chain_id", [5, 31337, 0])
def test_other_chain(world, query, work, chain_id):
    """The attacker replays what the same operators signed on another chain: commitments and
    signatures hold the chain's id."""
    assert_worthless(world, query, work, changed(work, chain_id=chain_id))


def test_other_deployment(world, client, query, work):
    """The attacker replays what the same operators signed for a second market over the same vault,
    where it asked the same question: commitments and signatures hold the market."""
    second = world.over(world.lower.token)
    world.lower.token.approve(second.market, 2**256 - 1, sender=client)
    theirs = second.request(client)
    assert theirs.query_id == query.query_id
    elsewhere = second.works(theirs)[0]
    for signed in (elsewhere, replace(elsewhere, members=work.members)):
        assert_worthless(world, query, work, signed)
    second.fulfil(theirs)


def test_old_committee(world, client, query, work):
    """The attacker keeps a committee's work until another committee is drawn: the terms hold the
    attempt, and commitments and signatures hold attempt and seed."""
    for context in ({"attempt": 1}, {"seed": b"\x11" * 32}):
        with boa.reverts("committee: not attested"):
            world.fulfil(query, [changed(work, **context).report()])
    go_to(query.answer_deadline + 1)
    world.market.retry(query.as_abi(), sender=client)
    again = world.requested()
    pass_blocks(2)
    oracle = world.oracle(again)
    with boa.reverts("market: other terms"):
        world.fulfil(query, [work.report()], sender=oracle)
    assert_worthless(world, again, world.works(again)[0], work)


def test_attestations_of_another_round_are_worthless(world, query, work):
    """The attacker mixes the rounds of one committee."""
    report = work.report()
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [replace(report, round=1)])
    later = replace(work, round=1)
    results = [later.result(position, report.commitments) for position in range(4)]
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [with_results(report, *results)])


def test_sig_dup(world, query, work):
    """A member wants to be a quorum by itself: a place counts once, and each place has a signer of
    its own."""
    report = work.report()
    first, second, _, _ = report.results
    with boa.reverts("committee: no quorum"):
        world.fulfil(query, [with_results(report, first, first, second)])
    counted = with_results(report, first, replace(first, position=1), replace(first, position=2))
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [counted])


def test_sig_unsorted(world, query, work):
    """The attacker hides a repeated member in disorder: results stand in draw order or recover to
    other signers."""
    report = work.report()
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [with_results(report, *reversed(report.results))])


def test_one_member_in_two_places_does_not_count_twice(world, query, work):
    """A member signs for its neighbour as well."""
    report = work.report()
    first, second, third, _ = report.results
    double = replace(first, position=3)
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [with_results(report, first, second, third, double)])


def test_a_place_outside_the_committee_is_refused(world, query, work):
    """A spare wants to be paid while every member works."""
    report = work.report()
    beyond = [replace(report.results[0], position=position) for position in (4, 7)]
    for result in beyond:
        with boa.reverts("committee: no such member"):
            world.fulfil(query, [with_results(report, *report.results[:3], result)])


def test_sig_high_s(world, query, work):
    """The attacker makes a second valid signature out of the first: only the low s is taken."""
    report = work.report()
    first, *rest = report.results
    word = int.from_bytes(first.vs, "big")
    v, s = word >> 255, word & (1 << 255) - 1
    high = ORDER - s
    assert high > SECP256K1_HALF_ORDER
    # The compact form holds 255 bits of s, enough for a high one.
    flipped = (high | (1 - v) << 255).to_bytes(32, "big") if high < 1 << 255 else first.vs
    if flipped == first.vs:
        flipped = ((SECP256K1_HALF_ORDER + 1) | v << 255).to_bytes(32, "big")
    with boa.reverts("signature: high s"):
        world.fulfil(query, [with_results(report, replace(first, vs=flipped), *rest)])


def test_sig_zero(world, query, work):
    """The attacker hopes that a failed recovery, which gives the zero address, equals some empty
    seat: only active seats are drawn, and each has a signer."""
    report = work.report()
    first, *rest = report.results
    for r, vs in ((bytes(32), bytes(32)), (first.r, bytes(32)), (bytes(32), first.vs)):
        nobody = replace(first, r=r, vs=vs)
        with boa.reverts("committee: not attested"):
            world.fulfil(query, [with_results(report, nobody, *rest)])


def test_reveal_without_commit(world, query, work):
    """A lazy member commits to nothing and reveals what the others computed: without a commitment
    in the set there is nothing that its salt could open."""
    commitments = work.commitments(absent=[3])
    results = [work.result(position, commitments) for position in range(4)]
    report = replace(work.report(), commitments=commitments, results=tuple(results))
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [report])


def test_commit_copied(world, query, work):
    """A lazy member hands in its neighbour's commitment as its own and waits for that one's salt: a
    commitment holds its member, so the copy does not open."""
    own = list(work.commitments())
    own[3] = own[0]
    results = [work.result(position, own) for position in range(4)]
    copied = replace(results[3], salt=work.salt(0))
    report = replace(work.report(), commitments=tuple(own), results=(*results[:3], copied))
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [report])


@pytest.mark.parametrize(
    ("changed_words", "reason"),
    [
        (lambda words: words[:1], "committee: shard missing"),
        (lambda words: words[:-1], "committee: report too short"),
        (lambda words: [*words[:2], *words[3:]], "committee: report too short"),
        (lambda words: [*words, bytes(32)], "committee: report too long"),
        (lambda words: [*words[:2], bytes(32), *words[2:]], "committee: not attested"),
        (lambda words: [(0b11111).to_bytes(32, "big"), *words[1:]], "committee: too many results"),
    ],
    ids=["head", "result", "member hidden", "tail", "member added", "everybody"],
)
def test_a_report_of_another_size_is_refused(world, query, work, changed_words, reason):
    """The attacker hides a member of the set, or adds one."""
    words = report_words([work.report(signers=[0, 1, 2])])
    oracle = world.oracle(query)
    with boa.reverts(reason):
        world.market.fulfil(query.as_abi(), changed_words(words), TENSORS[1][-1], sender=oracle)


def test_another_members_commitment_is_noticed(world, query, work):
    """The attacker swaps the commitment of a member that it does not pay."""
    report = work.report(signers=[0, 1, 2])
    for other in (ZERO_DIGEST, report.commitments[0]):
        swapped = replace(report, commitments=(*report.commitments[:3], other))
        with boa.reverts("committee: not attested"):
            world.fulfil(query, [swapped])


def test_operators_who_were_not_drawn_decide_nothing(world, query, work):
    """Somebody with stake elsewhere answers in the committee's place."""
    strangers = replace(work, members=tuple(OUTSIDERS.values()))
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [strangers.report()])


def test_only_drawn_members_are_paid(world, query, work):
    """Somebody looks for a way to be a payee without having been drawn."""
    drawn = {world.owners[signer_address(key)] for key in work.members}
    world.fulfil(query)
    earners = {owner for owner in world.owners.values() if world.waiting(owner)}
    assert earners - {world.owners[world.oracle(query)]} == drawn - {
        world.owners[world.oracle(query)]
    }


def test_a_shard_must_start_from_what_the_one_before_attested(world, client):
    """The second committee is bribed to work on a tensor of the attacker's."""
    query = world.request(client, 2)
    first, second = world.works(query)
    forged = replace(second, in_digest=keccak(text="another tensor"))
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [first.report(), forged.report()])


def test_another_answer_than_attested_is_refused(world, query, work):
    """The oracle swaps the answer and keeps the signatures."""
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [work.report()], output=b"\1\2\3\4")


def test_another_answer_of_the_same_length_is_refused(world, query, work):
    """A corrupt committee attests a digest and shows other bytes."""
    forged = replace(work, payload_hash=keccak(b"\1\2\3\4"))
    with boa.reverts("market: other output"):
        world.fulfil(query, [forged.report()], output=b"\1\2\3\4")


@pytest.mark.parametrize(
    "terms",
    [
        {"base_fee": 1},
        {"callback_gas": 1},
        {"requester": "0x" + "22" * 20},
        {"replicas": 3},
        {"answer_deadline": 2**40},
        {"parameters": 0},
        {"seat_counts": 1},
        {"seed_block": 1},
        {"privacy": Privacy.SEALED},
        {"epoch": 1},
        {"output_edge": bytes(32)},
    ],
    ids=lambda terms: next(iter(terms)),
)
def test_changed_terms_are_noticed(world, query, work, terms):
    """The oracle reports under terms that suit it better."""
    oracle = world.oracle(query)
    with boa.reverts("market: other terms"):
        world.fulfil(replace(query, **terms), [work.report()], sender=oracle)


def test_a_second_report_is_refused(world, query, work):
    """The oracle wants to be paid twice."""
    world.fulfil(query)
    with boa.reverts("market: not open"):
        world.fulfil(query, [work.report()])


def test_a_report_out_of_turn_is_refused(world, query, work, outsider):
    """A second oracle, and a stranger, copy a report out of the mempool to be paid for it: for the
    length of a turn only the oracle that was drawn may report."""
    for thief in (world.oracle(query, 1), outsider):
        with boa.reverts("committee: not your turn"):
            world.fulfil(query, [work.report()], sender=thief)


def test_turns_pass_on_and_end(world, client, outsider):
    """The first oracle sleeps, and wants its place back; a stranger waits for its chance."""
    for turn in range(3):
        query = world.request(client)
        go_to(query.opened_at + 10 * turn)
        before = world.oracle(query, turn - 1) if turn else outsider
        with boa.reverts("committee: not your turn"):
            world.fulfil(query, sender=before)
        world.fulfil(query, sender=world.oracle(query, turn))
    query = world.request(client)
    go_to(query.opened_at + 30)
    world.fulfil(query, sender=outsider)
    assert world.waiting(outsider) > 0


def test_after_the_last_turn_an_operators_signer_earns_for_its_owner(world, query):
    """Nobody's money ends on a hot key."""
    oracle = world.oracle(query, 1)
    go_to(query.opened_at + 30)
    world.fulfil(query, sender=oracle)
    assert world.waiting(oracle) == 0
    assert world.waiting(world.owners[oracle]) > 0


def test_when_oracles_run_out_anybody_may_report(world, client, outsider):
    """Oracles leave so that nobody could report between the last of them and the last turn."""
    vault = world.lower.vault
    for signer in list(world.owners)[-2:]:
        owner = world.owners[signer]
        shard, slot = vault.seat_of(ZERO_DIGEST, owner)
        vault.leave_seat(ZERO_DIGEST, shard, slot, sender=owner)
    go_to(boa.env.timestamp + 10)
    query = world.request(client)
    with boa.reverts("committee: not your turn"):
        world.fulfil(query, sender=outsider)
    go_to(query.opened_at + 10)
    world.fulfil(query, sender=outsider)


# --- Claims ---


def claim(world, query, outcome, result, shard=0):
    work = world.works(query)[shard]
    world.market.claim_slot(
        query.as_abi(), outcome_as_abi(outcome), shard, work.commitments(), result.as_abi()
    )


@pytest.fixture
def outcome(world, query):
    return world.fulfil(query, world.reports(query, signers=[0, 1, 2]))


def test_reveal_frontrun(world, query, work, outcome, outsider):
    """A thief copies a member's claim out of the mempool and sends it first to be paid for the
    result in it: the pay is the member's, whoever sends it."""
    member, thief = world.owners[signer_address(work.members[3])], outsider
    before = world.waiting(member)
    result = work.result(3, work.commitments())
    stolen = (query.as_abi(), outcome_as_abi(outcome), 0, work.commitments(), result.as_abi())
    world.market.claim_slot(*stolen, sender=thief)
    assert world.waiting(member) == before + split_fee(query).slot
    assert world.waiting(thief) == 0


@pytest.mark.parametrize("replicas", [3, 4, 5, 6, 7, 8])
def test_mode_without_minimum(world, client, replicas):
    """A minority reports its answer as the most frequent one while others are late or split: fewer
    than a quorum of equal attestations settle nothing, whoever else is counted."""
    for number in range(replicas - 6):
        world.operator(f"further {number}", [(world.versions[1], 0)])
    go_to(boa.env.timestamp + EPOCH_SECONDS)
    query = world.request(client, replicas=replicas)
    work = world.works(query)[0]
    few = range(2 * replicas // 3)
    with boa.reverts("committee: no quorum"):
        world.fulfil(query, [work.report(signers=few)])
    other = replace(work, out_digest=keccak(text="another answer"))
    split = work.report(signers=few)
    counted = [*split.results, other.result(replicas - 1, split.commitments)]
    with boa.reverts("committee: not attested"):
        world.fulfil(query, [with_results(split, *counted)])
    world.fulfil(query, [work.report(signers=range(2 * replicas // 3 + 1))])


def test_a_slot_is_not_claimed_by_a_stranger(world, query, work, outcome):
    """A stranger signs what the left out member did."""
    stranger = replace(work, members=(*work.members[:3], OUTSIDERS["outsider 0"]))
    with boa.reverts("committee: not attested"):
        claim(world, query, outcome, stranger.result(3, work.commitments()))


def test_a_slot_is_not_claimed_twice(world, query, work, outcome):
    """A member shows its claim to the old outcome and to the new one."""
    result = work.result(3, work.commitments())
    claim(world, query, outcome, result)
    with boa.reverts("market: other outcome"):
        claim(world, query, outcome, result)
    shard = replace(outcome.shards[0], paid=0b1111)
    with boa.reverts("market: slot is paid"):
        claim(world, query, replace(outcome, shards=(shard,)), result)
    world.assert_solvent()


def test_a_neighbours_claim_does_not_open(world, query, work, outcome):
    """A paid member claims the slot beside its own."""
    mine = work.result(0, work.commitments())
    with boa.reverts("committee: not committed"):
        claim(world, query, outcome, replace(mine, position=3))


def test_a_claim_with_another_result_does_not_open(world, query, work, outcome):
    """A member that was wrong claims the slot of a right answer."""
    wrong = replace(work, out_digest=keccak(text="wrong"))
    with boa.reverts("committee: not attested"):
        claim(world, query, outcome, replace(wrong.result(3, work.commitments())))


def test_a_claim_of_another_shard_does_not_open(world, client):
    """A member claims in the shard where it did nothing."""
    query = world.request(client, 2)
    outcome = world.fulfil(query, world.reports(query, signers=[0, 1, 2]))
    first, second = world.works(query)
    result = first.result(3, first.commitments())
    with boa.reverts("committee: another set"):
        world.market.claim_slot(
            query.as_abi(), outcome_as_abi(outcome), 1, first.commitments(), result.as_abi()
        )
    with boa.reverts("committee: not committed"):
        world.market.claim_slot(
            query.as_abi(), outcome_as_abi(outcome), 1, second.commitments(), result.as_abi()
        )
