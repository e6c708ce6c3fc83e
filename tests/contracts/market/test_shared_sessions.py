"""Deposits of sessions and the vouchers that spend them."""

from dataclasses import replace

import boa
import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.ids import ZERO_DIGEST, VersionId
from nesa.protocol.queries import Privacy, QueryStatus
from nesa.protocol.sessions import (
    FIRST_SESSION,
    deposit,
    product_terms,
    products_id,
    reward,
)
from nesa.protocol.versions import version_root
from tests.contracts.market.permits import permit, signing_client
from tests.deployment import load_harness
from tests.market import CREDIT_WINDOW, facts, go_to, pass_blocks
from tests.reports import signer_address
from tests.shared_sessions import (
    PAYER,
    PRODUCTS,
    Sessions,
    build_sessions,
    deploy_sessions,
    product_ids,
)

STRANGER = PrivateKey(keccak(text="stranger"))


@pytest.fixture
def sessions(world):
    return build_sessions(world)


@pytest.fixture
def client(sessions):
    return sessions.client()


@pytest.fixture
def terms(sessions, client):
    return sessions.open(client)


@pytest.fixture
def most(terms):
    """What one member earns for all products, before shares."""
    return terms.base_fee * PRODUCTS


class TestListProducts:
    def test_a_list_is_read_by_number(self, sessions, world):
        listed = product_ids(world.versions[1])
        assert sessions.listed == products_id(listed)
        assert sessions.contract.product_count(sessions.listed) == PRODUCTS
        found = [sessions.contract.product_of(sessions.listed, k) for k in range(PRODUCTS + 1)]
        assert found == [*listed, bytes(32)]

    def test_no_products_or_the_same_again_reverts(self, sessions, world):
        with boa.reverts("sessions: no products"):
            sessions.contract.list_products([])
        with boa.reverts("sessions: listed before"):
            sessions.contract.list_products(product_ids(world.versions[1]))


class TestOpenSession:
    def test_it_takes_what_all_seats_earn_for_all_products(self, sessions, world, client):
        before = world.lower.token.balanceOf(client)
        terms = sessions.open(client, seats=5)
        sum_ = deposit(terms.base_fee, PRODUCTS, 5)
        assert world.lower.token.balanceOf(client) == before - sum_
        assert sessions.contract.left_of(terms.query_id) == sum_
        assert sessions.contract.payer_of(terms.query_id) == (signer_address(PAYER), 5)
        assert sessions.contract.products_of(terms.query_id) == sessions.listed
        assert sessions.contract.status_of(terms.query_id) == QueryStatus.OPEN
        sessions.assert_solvent()

    def test_its_number_is_of_no_query(self, sessions, client):
        numbers = [sessions.open(client).query_id for _ in range(2)]
        assert numbers == [FIRST_SESSION + 1, FIRST_SESSION + 2]

    def test_its_terms_are_of_the_moment(self, terms, world, client):
        assert (terms.version_id, terms.requester) == (world.versions[1], client)
        assert (terms.privacy, terms.shards, terms.attempt) == (Privacy.SHARED, 1, 0)
        assert terms.base_fee == world.lower.registry.offer(world.versions[1]).price
        assert terms.answer_deadline == terms.opened_at + terms.rules.answer_window

    def test_a_deposit_is_told_before(self, sessions, terms):
        assert sessions.contract.deposit_for(sessions.order().as_abi()) == deposit(
            terms.base_fee, PRODUCTS, 4
        )

    @pytest.mark.parametrize(
        ("field", "value", "reason"),
        [
            (0, b"\x01" * 32, "sessions: no such products"),
            (1, 0, "sessions: no replicas"),
            (1, 3, "sessions: too few seats"),
            (2, 9, "sessions: too many seats"),
            (3, "0x" + "00" * 20, "sessions: no payer"),
            (4, 0, "sessions: deposit too low"),
            (2, 7, "vault: too few seats"),
        ],
    )
    def test_what_is_not_offered_reverts(self, sessions, client, field, value, reason):
        order = list(sessions.order().as_abi())
        order[field] = value
        with boa.reverts(reason):
            sessions.contract.open_session(tuple(order), sender=client)

    def test_a_version_of_two_shards_is_no_product(self, sessions, world, client):
        listed = sessions.contract.list_products([world.versions[2]])
        with boa.reverts("sessions: not a product"):
            sessions.open(client, products_id=listed)

    def test_with_a_permit(self, sessions, world):
        account = signing_client(world)
        order = sessions.order()
        until = boa.env.timestamp + 100
        signed = permit(world, order.max_deposit, until, sessions.contract)
        sessions.contract.open_session_with_permit(order.as_abi(), until, *signed, sender=account)
        sessions.assert_solvent()


class TestRedeem:
    def test_the_operator_earns_its_share_and_the_oracles(self, sessions, terms, most):
        operator = sessions.operator(terms, 1)
        assert sessions.redeem(terms, 1, most) == most
        assert sessions.waiting(operator) == reward(terms, most)
        assert sessions.contract.redeemed_by(terms.query_id, operator) == most
        assert sessions.contract.left_of(terms.query_id) == 3 * most
        sessions.assert_solvent()

    def test_each_member_of_larger_groups_earns_as_much(self, sessions, client):
        terms = sessions.open(client, replicas=2)
        operator = sessions.operator(terms, 3)
        sessions.redeem(terms, 3, terms.base_fee)
        alone = replace(terms, replicas=1)
        assert sessions.waiting(operator) == reward(alone, terms.base_fee) > terms.base_fee // 2

    def test_a_later_voucher_pays_the_difference(self, sessions, terms, most):
        assert sessions.redeem(terms, 0, most // 3) == most // 3
        assert sessions.redeem(terms, 0, most) == most - most // 3

    @pytest.mark.parametrize("less", [0, 1])
    def test_a_voucher_of_no_more_pays_nothing(self, sessions, terms, most, less):
        sessions.redeem(terms, 0, most)
        with boa.reverts("sessions: nothing new"):
            sessions.redeem(terms, 0, most - less)

    def test_all_seats_are_paid_in_full(self, sessions, terms, most):
        for position in range(4):
            sessions.redeem(terms, position, most)
        assert sessions.contract.left_of(terms.query_id) == 0
        sessions.assert_solvent()

    def test_more_than_all_products_reverts(self, sessions, terms, most):
        with boa.reverts("sessions: more than all products"):
            sessions.redeem(terms, 0, most + 1)

    def test_behind_the_last_seat_reverts(self, sessions, terms, most):
        with boa.reverts("sessions: not to be paid"):
            sessions.redeem(terms, 4, most)

    def test_somebody_elses_word_reverts(self, sessions, terms, most):
        given = sessions.voucher(terms, 0, most, STRANGER)
        with boa.reverts("sessions: not the payer's"):
            sessions.contract.redeem(terms.as_abi(), 0, most, *given)

    def test_a_voucher_is_for_one_operator_and_one_amount(self, sessions, terms, most):
        given = sessions.voucher(terms, 0, most)
        for position, amount in ((1, most), (0, most - 1)):
            with boa.reverts("sessions: not the payer's"):
                sessions.contract.redeem(terms.as_abi(), position, amount, *given)

    def test_a_voucher_of_another_session_reverts(self, sessions, client, terms, most):
        other = sessions.open(client)
        given = sessions.voucher(terms, 0, most)
        place = [sessions.operator(other, k) for k in range(4)]
        if sessions.operator(terms, 0) in place:
            position = place.index(sessions.operator(terms, 0))
            with boa.reverts("sessions: not the payer's"):
                sessions.contract.redeem(other.as_abi(), position, most, *given)

    def test_a_voucher_of_another_contract_reverts(self, sessions, world, client, terms, most):
        other = build_sessions(world)
        world.lower.token.approve(other.contract, 2**256 - 1, sender=client)
        twin = other.open(client)
        assert twin.query_id == terms.query_id
        operator = other.operator(twin, 0)
        position = [sessions.operator(terms, k) for k in range(6)].index(operator)
        given = sessions.voucher(terms, position, most)
        with boa.reverts("sessions: not the payer's"):
            other.contract.redeem(twin.as_abi(), 0, most, *given)

    def test_other_terms_revert(self, sessions, terms, most):
        with boa.reverts("market: other terms"):
            sessions.redeem(replace(terms, base_fee=terms.base_fee * 2), 0, most)

    def test_until_the_last_second_and_not_longer(self, sessions, terms, most):
        sessions.contract.pin_seed(terms.seed_block)
        sessions.end(terms)
        sessions.redeem(terms, 0, most)
        go_to(boa.env.timestamp + 1)
        with boa.reverts("sessions: vouchers are over"):
            sessions.redeem(terms, 1, most)

    def test_a_seed_that_nobody_kept_pays_nobody(self, sessions, terms, most):
        pass_blocks(300, 0)
        with boa.reverts("market: seed is gone"):
            sessions.contract.redeem(terms.as_abi(), 0, most, bytes(32), bytes(32))

    def test_a_seed_that_was_pinned_pays(self, sessions, terms, most):
        given = sessions.voucher(terms, 0, most)
        sessions.contract.pin_seed(terms.seed_block)
        pass_blocks(300, 0)
        assert sessions.contract.redeem(terms.as_abi(), 0, most, *given) == most


class TestClose:
    def test_what_is_left_is_the_clients_at_once(self, sessions, world, client, terms, most):
        sessions.redeem(terms, 0, most)
        sessions.end(terms)
        go_to(boa.env.timestamp + 1)
        assert sessions.contract.close_session(terms.as_abi()) == 3 * most
        assert sessions.contract.left_of(terms.query_id) == 0
        before = world.lower.token.balanceOf(client)
        assert sessions.contract.withdraw(client) == 3 * most
        assert world.lower.token.balanceOf(client) == before + 3 * most
        sessions.assert_solvent()

    def test_while_vouchers_count_it_reverts(self, sessions, terms):
        sessions.end(terms)
        with boa.reverts("sessions: vouchers count"):
            sessions.contract.close_session(terms.as_abi())

    def test_twice_reverts(self, sessions, terms):
        sessions.end(terms)
        go_to(boa.env.timestamp + 1)
        sessions.contract.close_session(terms.as_abi())
        with boa.reverts("market: not open"):
            sessions.contract.close_session(terms.as_abi())
        with boa.reverts("market: not open"):
            sessions.contract.redeem(terms.as_abi(), 0, 1, bytes(32), bytes(32))


class TestShares:
    def test_developer_reviewers_and_treasury_collect(self, sessions, world, terms, most):
        operator = sessions.operator(terms, 0)
        sessions.redeem(terms, 0, most)
        shares = sessions.contract.shares_of(terms.version_id)
        assert sum(shares) == most - sessions.waiting(operator)
        developer = world.developer
        root = version_root(bytes([1]) * 32, facts(1), b"\x02" * 32)
        sessions.contract.collect(developer, root)
        accounts = (developer, world.reviewer_pool, world.treasury)
        assert tuple(sessions.waiting(account) for account in accounts) == tuple(shares)
        with boa.reverts("sessions: nothing to collect"):
            sessions.contract.collect(developer, root)
        sessions.assert_solvent()

    def test_earnings_wait_as_the_markets_do(self, sessions, world, terms, most):
        operator = sessions.operator(terms, 0)
        sessions.redeem(terms, 0, most)
        with boa.reverts("sessions: nothing to withdraw"):
            sessions.contract.withdraw(operator)
        go_to(boa.env.timestamp + 2 * CREDIT_WINDOW)
        assert sessions.contract.withdraw(operator) == reward(terms, most)
        assert sessions.contract.credit_of(operator) == (0, 0)
        sessions.assert_solvent()


class TestVerifyTerms:
    def test_a_product_has_the_sessions_terms_but_its_number_and_version(self, sessions, terms):
        listed = product_ids(terms.version_id)
        for number, version_id in enumerate(listed):
            assert sessions.contract.verify_terms(product_terms(terms, number, version_id).as_abi())

    def test_other_products_and_terms_are_none(self, sessions, terms):
        listed = product_ids(terms.version_id)
        for other in (
            product_terms(terms, 1, listed[2]),
            product_terms(terms, PRODUCTS, listed[0]),
            product_terms(terms, PRODUCTS, VersionId(ZERO_DIGEST)),
            replace(terms, replicas=2),
            replace(terms, query_id=terms.query_id + 1),
        ):
            assert not sessions.contract.verify_terms(other.as_abi())

    def test_they_stay_when_it_is_closed(self, sessions, terms):
        sessions.end(terms)
        go_to(boa.env.timestamp + 1)
        sessions.contract.close_session(terms.as_abi())
        assert sessions.contract.verify_terms(terms.as_abi())

    def test_the_seed_is_read_as_the_markets(self, sessions, terms):
        expected = sessions.contract.pin_seed(terms.seed_block)
        assert sessions.contract.seed_of(terms.seed_block) == expected


class TestDoubtfulToken:
    @pytest.fixture
    def token(self):
        return load_harness("DoubtfulToken")

    @pytest.fixture
    def doubtful(self, world, token):
        contract = deploy_sessions(world, token=token)
        listed = contract.list_products(product_ids(world.versions[1]))
        return Sessions(world, contract, listed)

    def test_what_was_not_paid_opens_nothing(self, doubtful, outsider):
        with boa.reverts("sessions: not paid"):
            doubtful.contract.open_session(doubtful.order().as_abi(), sender=outsider)

    def test_what_was_not_paid_out_stays(self, doubtful, token, outsider):
        token.behave(True)
        terms = doubtful.open(outsider)
        doubtful.end(terms)
        go_to(boa.env.timestamp + 1)
        left = doubtful.contract.close_session(terms.as_abi())
        token.behave(False)
        with boa.reverts("sessions: transfer failed"):
            doubtful.contract.withdraw(outsider)
        assert doubtful.contract.credit_of(outsider)[0] == left


def test_its_code_fits(sessions):
    assert len(boa.env.get_code(sessions.contract.address)) <= 24_576
