"""Calling silent members, and the spares that fill their slots."""

from dataclasses import replace

import boa
import pytest

from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Digest
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import Assurance, QueryStatus
from nesa.protocol.summons import answer_hash, call_hash
from tests.deployment import SUMMONS_RULES, load_harness, next_epoch
from tests.market import as_query, go_to, pass_blocks
from tests.reports import signer_address
from tests.summoning import Summoning, deploy_summons

BOND = SUMMONS_RULES.bond
SILENT = 1


@pytest.fixture
def query(world, summoning, client):
    asked = world.request(client)
    summoning.may_summon(asked)
    return asked


@pytest.fixture
def caller(world):
    return world.client("caller", 100 * BOND)


def balance(world, account):
    return world.lower.token.balanceOf(account)


class TestSummon:
    def test_it_names_the_drawn_member_and_holds_the_bond(self, world, summoning, query, caller):
        before = balance(world, caller)
        call = summoning.summon(query, SILENT, caller)
        drawn = signer_address(world.drawn(query, 0, 4)[SILENT])
        assert (call.signer, call.operator) == (drawn, world.owners[drawn])
        assert (call.position, call.slot, call.summoner) == (SILENT, SILENT, caller)
        assert call.deadline == boa.env.timestamp + SUMMONS_RULES.answer_window
        assert summoning.contract.is_open(call.as_abi())
        assert balance(world, caller) == before - BOND
        assert balance(world, summoning.contract) == BOND

    def test_before_its_time_reverts(self, world, summoning, client, caller):
        asked = world.request(client)
        go_to(asked.opened_at + SUMMONS_RULES.patience - 1)
        with boa.reverts("summons: too early"):
            summoning.summon(asked, SILENT, caller)

    def test_too_late_to_be_answered_reverts(self, summoning, query, caller):
        last = query.answer_deadline - SUMMONS_RULES.answer_window
        go_to(last + 1)
        with boa.reverts("summons: too late"):
            summoning.summon(query, SILENT, caller)

    def test_in_the_last_second_it_ends_with_the_query(self, summoning, query, caller):
        go_to(query.answer_deadline - SUMMONS_RULES.answer_window)
        assert summoning.summon(query, SILENT, caller).deadline == query.answer_deadline

    def test_a_second_summons_of_one_member_reverts(self, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        with boa.reverts("summons: summoned before"):
            summoning.summon(query, SILENT, caller)
        summoning.answer(call)
        with boa.reverts("summons: summoned before"):
            summoning.summon(query, SILENT, caller)

    def test_other_terms_revert(self, summoning, query, caller):
        with boa.reverts("summons: not open"):
            summoning.summon(replace(query, replicas=3), SILENT, caller)

    def test_an_answered_query_reverts(self, world, summoning, query, caller, outsider):
        go_to(query.opened_at + 31)
        world.fulfil(query, sender=outsider)
        with boa.reverts("summons: not open"):
            summoning.summon(query, SILENT, caller)

    def test_a_proved_query_reverts(self, world, summoning, client, caller):
        asked = world.request(client, assurance=Assurance.PROVED)
        summoning.may_summon(asked)
        with boa.reverts("summons: provers have turns"):
            summoning.summon(asked, 0, caller)

    def test_a_shard_that_is_not_there_reverts(self, summoning, query, caller):
        with boa.reverts("summons: no such shard"):
            summoning.summon(query, SILENT, caller, shard=1)

    @pytest.mark.parametrize("position", [4, 5, 6, 7, 8, 11, 2**255])
    def test_a_spare_without_a_slot_reverts(self, summoning, query, caller, position):
        with boa.reverts():
            summoning.summon(query, position, caller)

    def test_without_the_bond_reverts(self, summoning, query, outsider):
        with boa.reverts():
            summoning.summon(query, SILENT, outsider)

    def test_after_a_pinned_seed_it_still_finds_the_member(
        self, world, summoning, query, client, caller
    ):
        world.market.pin_seed(query.seed_block)
        pass_blocks(300, 1)
        call = summoning.summon(query, SILENT, caller)
        assert call.operator in world.owners.values()

    def test_a_seed_that_is_gone_reverts(self, summoning, query, caller):
        pass_blocks(300, 1)
        with boa.reverts("summons: seed is gone"):
            summoning.summon(query, SILENT, caller)


class TestAnswer:
    def test_the_operator_gets_the_bond(self, world, summoning, query, caller, outsider):
        call = summoning.summon(query, SILENT, caller)
        summoning.answer(call, b"\x05" * 32, sender=outsider)
        (log,) = [e for e in summoning.contract.get_logs() if hasattr(e, "commitment")]
        assert (log.operator, log.commitment) == (call.operator, b"\x05" * 32)
        assert balance(world, call.operator) == BOND
        assert balance(world, summoning.contract) == 0
        assert summoning.contract.misses(query.version_id, call.operator) == 0

    def test_in_the_last_second_it_counts(self, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        go_to(call.deadline)
        summoning.answer(call)
        with boa.reverts("summons: no such summons"):
            summoning.declare_absent(call)

    def test_a_second_too_late_reverts(self, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        go_to(call.deadline + 1)
        with boa.reverts("summons: deadline passed"):
            summoning.answer(call)

    def test_somebody_elses_signature_reverts(self, world, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        other = signer_address(world.drawn(query, 0, 4)[0])
        forged = replace(call, signer=other)
        with boa.reverts("summons: no such summons"):
            summoning.answer(forged)
        world.keys[call.signer] = world.keys[other]
        with boa.reverts("summons: not signed"):
            summoning.answer(call)

    def test_the_same_answer_twice_reverts(self, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        summoning.answer(call)
        with boa.reverts("summons: no such summons"):
            summoning.answer(call)

    def test_python_signs_what_the_contract_asks(self, world, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        address = summoning.contract.address
        commitment = Digest(b"\x07" * 32)
        expected = answer_hash(world.chain_id, address, call, commitment)
        assert summoning.contract.answer_hash(call.as_abi(), commitment) == expected
        assert len(call_hash(call)) == 32


class TestDeclareAbsent:
    def test_the_bond_returns_and_the_seat_has_a_miss(self, world, summoning, query, caller):
        before = balance(world, caller)
        call = summoning.find_absent(query, SILENT, caller)
        assert balance(world, caller) == before
        assert summoning.contract.misses(query.version_id, call.operator) == 1
        assert summoning.absent_slots(query) == (SILENT,)
        assert summoning.absences(query)[0].since == boa.env.timestamp

    def test_in_the_last_second_to_answer_reverts(self, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        go_to(call.deadline)
        with boa.reverts("summons: not over"):
            summoning.contract.declare_absent(call.as_abi())

    def test_twice_reverts(self, summoning, query, caller):
        call = summoning.find_absent(query, SILENT, caller)
        with boa.reverts("summons: no such summons"):
            summoning.contract.declare_absent(call.as_abi())

    def test_after_the_query_was_refunded_it_counts(self, world, summoning, query, caller):
        call = summoning.summon(query, SILENT, caller)
        go_to(query.answer_deadline + 1)
        world.market.refund(query.as_abi())
        summoning.declare_absent(call)
        assert summoning.contract.misses(query.version_id, call.operator) == 1

    def test_absences_have_the_order_in_which_they_were_found(self, summoning, query, caller):
        calls = [summoning.summon(query, position, caller) for position in (3, 1)]
        for call in calls:
            summoning.declare_absent(call)
        assert summoning.absent_slots(query) == (3, 1)

    def test_whom_nobody_can_replace_has_a_miss_and_keeps_its_slot(
        self, world, summoning, client, caller
    ):
        """Seven members and their one spare are all that a draw has."""
        for number in range(2):
            world.operator(f"further member {number}", [(world.versions[1], 0)])
        next_epoch()
        query = world.request(client, replicas=7)
        summoning.may_summon(query)
        calls = [summoning.summon(query, position, caller) for position in (SILENT, 2)]
        for call in calls:
            summoning.declare_absent(call)
        assert summoning.absent_slots(query) == (SILENT,)
        assert summoning.contract.misses(query.version_id, calls[1].operator) == 1


class TestDoubtfulToken:
    """A token that returns false is taken at its word."""

    @pytest.fixture
    def token(self):
        return load_harness("DoubtfulToken")

    @pytest.fixture
    def doubtful(self, world, token):
        below = replace(world, lower=replace(world.lower, token=token))
        return Summoning(below, deploy_summons(below))

    def test_a_bond_that_was_not_paid_summons_nobody(self, doubtful, query, outsider):
        with boa.reverts("summons: bond not paid"):
            doubtful.summon(query, SILENT, outsider)

    def test_a_bond_that_was_not_returned_leaves_the_summons(
        self, doubtful, token, query, outsider
    ):
        token.behave(True)
        call = doubtful.summon(query, SILENT, outsider)
        token.behave(False)
        with boa.reverts("summons: bond not returned"):
            doubtful.answer(call)
        assert doubtful.contract.is_open(call.as_abi())


class TestSpares:
    def test_a_spare_is_paid_in_the_slot_of_the_absent(
        self, world, summoning, query, caller, outsider
    ):
        summoning.find_absent(query, SILENT, caller)
        outcome = summoning.fulfil(query, outsider, summoning.report(query))
        assert outcome.shards[0].paid == 0b11101
        assert world.market.status_of(query.query_id) == QueryStatus.FULFILLED
        assert world.waiting(summoning.owner(query, 4)) == split_fee(query).slot
        assert world.waiting(summoning.owner(query, SILENT)) == 0
        world.assert_solvent()

    def test_two_spares_save_a_query_that_two_left(self, world, summoning, query, caller, outsider):
        calls = [summoning.summon(query, position, caller) for position in (2, 0)]
        for call in calls:
            summoning.declare_absent(call)
        outcome = summoning.fulfil(query, outsider, summoning.report(query))
        assert outcome.shards[0].paid == 0b111010
        world.assert_solvent()

    def test_a_spare_that_is_silent_too_is_replaced(
        self, world, summoning, query, caller, outsider
    ):
        summoning.find_absent(query, SILENT, caller)
        with boa.reverts("summons: too early"):
            summoning.summon(query, 4, caller)
        go_to(boa.env.timestamp + SUMMONS_RULES.patience)
        call = summoning.find_absent(query, 4, caller)
        assert (call.slot, summoning.absent_slots(query)) == (SILENT, (SILENT, SILENT))
        outcome = summoning.fulfil(query, outsider, summoning.report(query))
        assert outcome.shards[0].paid == 0b101101

    def test_the_absent_member_may_be_paid_when_it_comes_back(
        self, world, summoning, query, caller, outsider
    ):
        summoning.find_absent(query, SILENT, caller)
        outcome = summoning.fulfil(query, outsider, *world.reports(query))
        assert outcome.shards[0].paid == 0b1111

    def test_a_slot_is_not_paid_twice(self, world, summoning, query, caller, outsider):
        summoning.find_absent(query, SILENT, caller)
        report = summoning.report(query, silent=[3])
        member = world.works(query)[0].result(SILENT, report.commitments)
        results = tuple(sorted((*report.results, member), key=lambda one: one.position))
        # A slot that two fill leaves another one without words.
        words = replace(report, results=results, commitments=report.commitments)
        with boa.reverts("committee: slot filled twice"):
            summoning.fulfil(query, outsider, words)

    def test_a_spare_without_an_absent_member_reverts(
        self, world, summoning, query, caller, outsider
    ):
        summoning.find_absent(query, SILENT, caller)
        report = summoning.report(query)
        other = world.request(world.client("second client"))
        lone = world.works(other)[0]
        spare = world.drawn(other, 0, 5)[4]
        work = replace(lone, members=(*lone.members[:3], spare))
        commitments = work.commitments()
        results = [work.result(p, commitments, slot=4 if p == 3 else p) for p in range(4)]
        forged = replace(report, commitments=commitments, results=tuple(results), spares=(3,))
        with boa.reverts("committee: no such member"):
            summoning.fulfil(other, outsider, forged)

    def test_a_spare_that_the_report_left_out_claims_its_slot(
        self, world, summoning, query, caller, outsider
    ):
        summoning.find_absent(query, SILENT, caller)
        report = summoning.report(query)
        left_out = report.results[-1]
        reported = replace(report, results=report.results[:-1])
        outcome = summoning.fulfil(query, outsider, reported)
        assert outcome.shards[0].paid == 0b1101
        given = (query.as_abi(), outcome_as_abi(outcome), 0, report.commitments)
        world.market.claim_slot(*given, left_out.as_abi())
        assert world.event("SlotClaimed").paid == 0b11101
        assert world.waiting(summoning.owner(query, 4)) == split_fee(query).slot
        world.assert_solvent()

    def test_whoever_was_left_out_beside_a_spare_claims_its_slot(
        self, world, summoning, client, caller, outsider
    ):
        for number in range(2):
            world.operator(f"further member {number}", [(world.versions[1], 0)])
        next_epoch()
        query = world.request(client, replicas=7)
        summoning.may_summon(query)
        summoning.find_absent(query, SILENT, caller)
        report = summoning.report(query)
        left_out = (report.results[0], report.results[2])
        reported = tuple(result for result in report.results if result not in left_out)
        outcome = summoning.fulfil(query, outsider, replace(report, results=reported))
        for result in left_out:
            given = (query.as_abi(), outcome_as_abi(outcome), 0, report.commitments)
            world.market.claim_slot(*given, result.as_abi())
            paid = world.event("SlotClaimed").paid
            outcome = replace(outcome, shards=(replace(outcome.shards[0], paid=paid),))
        assert paid == 0b11111101
        world.assert_solvent()

    def test_the_absent_member_cannot_claim_the_slot_of_its_spare(
        self, world, summoning, query, caller, outsider
    ):
        summoning.find_absent(query, SILENT, caller)
        report = summoning.report(query)
        outcome = summoning.fulfil(query, outsider, report)
        late = world.works(query)[0].result(SILENT, report.commitments)
        given = (query.as_abi(), outcome_as_abi(outcome), 0, report.commitments)
        with boa.reverts("committee: not committed"):
            world.market.claim_slot(*given, late.as_abi())

    def test_another_attempt_begins_with_its_members(self, world, summoning, query, client, caller):
        summoning.find_absent(query, SILENT, caller)
        go_to(query.answer_deadline + 1)
        world.market.retry(query.as_abi(), sender=client)
        again = as_query(world.event("AttemptOpened").query)
        assert summoning.absent_slots(again) == ()


class TestJail:
    @pytest.fixture
    def often_absent(self, world, summoning, client, caller):
        """An operator with so many misses that one more would jail it, and its version."""
        world.lower.token.approve(world.market, 2**256 - 1, sender=client)
        first = world.request(client)
        operator = summoning.owner(first, 0)
        return first, operator

    def miss(self, world, summoning: Summoning, client, caller, operator):
        """One more miss of `operator`, of a query that draws it, in a period of its own."""
        for _ in range(40):
            asked = world.request(client)
            owners = [world.owners[signer_address(k)] for k in world.drawn(asked, 0, 4)]
            if operator in owners:
                summoning.may_summon(asked)
                summoning.find_absent(asked, owners.index(operator), caller)
                return asked
        raise AssertionError("never drawn")

    def test_enough_misses_end_the_seat_and_take_no_stake(
        self, world, summoning, client, caller, outsider, often_absent
    ):
        first, operator = often_absent
        vault, version = world.lower.vault, first.version_id
        stake = vault.ledger(operator).stake
        for _ in range(SUMMONS_RULES.jail_misses):
            with boa.reverts("summons: too few misses"):
                summoning.contract.jail(version, operator)
            self.miss(world, summoning, client, caller, operator)
        summoning.contract.jail(version, operator, sender=outsider)
        shard, slot = vault.seat_of(version, operator)
        assert vault.seats(version, shard, [slot])[0].to_epoch == vault.epoch() + 1
        assert vault.ledger(operator).stake == stake
        assert summoning.contract.misses(version, operator) == 0
        next_epoch()
        digests = world.lower.registry.facts(version, 0)
        with boa.reverts("vault: already seated"):
            vault.take_seat(version, 0, *digests, sender=operator)
        with boa.reverts("vault: seat may be needed"):
            vault.release_seat(version, shard, slot)
        with boa.reverts("summons: too few misses"):
            summoning.contract.jail(version, operator)

    def test_misses_of_one_period_count_once(self, world, summoning, client, caller):
        # All six operators are drawn by all three, wherever the market lies.
        asked = [world.request(client, replicas=6) for _ in range(3)]
        operator = summoning.owner(asked[0], 0)
        # All are summoned in one period and end in one.
        summoning.may_summon(asked[-1])
        calls = []
        for query in asked:
            owners = [world.owners[signer_address(k)] for k in world.drawn(query, 0, 6)]
            calls.append(summoning.summon(query, owners.index(operator), caller))
        next_epoch(2)
        for call in calls:
            summoning.contract.declare_absent(call.as_abi())
        assert summoning.contract.misses(asked[0].version_id, operator) == 1

    def test_old_misses_are_forgotten(self, world, summoning, query, caller):
        call = summoning.find_absent(query, SILENT, caller)
        next_epoch(SUMMONS_RULES.jail_periods - 1)
        assert summoning.contract.misses(query.version_id, call.operator) == 1
        next_epoch()
        assert summoning.contract.misses(query.version_id, call.operator) == 0

    def test_a_seat_that_was_left_cannot_be_jailed(
        self, world, summoning, client, caller, often_absent
    ):
        first, operator = often_absent
        for _ in range(SUMMONS_RULES.jail_misses):
            self.miss(world, summoning, client, caller, operator)
        shard, slot = world.lower.vault.seat_of(first.version_id, operator)
        world.lower.vault.leave_seat(first.version_id, shard, slot, sender=operator)
        with boa.reverts("vault: seat already left"):
            summoning.contract.jail(first.version_id, operator)


class TestDeploy:
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"patience": 0}, "summons: no patience"),
            ({"answer_window": 0}, "summons: no time to answer"),
            ({"bond": 0}, "summons: no bond"),
            ({"period": 0}, "summons: no period"),
            ({"jail_misses": 0}, "summons: no misses"),
            ({"jail_misses": 9}, "summons: too many misses"),
            ({"jail_misses": 3, "jail_periods": 2}, "summons: too few periods"),
        ],
    )
    def test_rules_out_of_bounds_revert(self, world, changes, reason):
        with boa.reverts(reason):
            deploy_summons(world, **changes)

    def test_the_rules_are_told(self, summoning):
        assert tuple(summoning.contract.rules()) == tuple(
            getattr(SUMMONS_RULES, name) for name in SUMMONS_RULES.__slots__
        )

    def test_the_code_fits_a_contract(self, summoning):
        assert len(boa.env.get_code(summoning.contract.address)) <= 24_576
