"""Asking a network where nobody works: what is paid, what is refused, how it ends."""

from __future__ import annotations

import asyncio
import dataclasses
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nesa import (
    ONE_NES,
    Client,
    Drawn,
    ExhaustedResource,
    Expired,
    Incompatible,
    InvalidConfiguration,
    InvalidInput,
    InvalidTensor,
    Model,
    Network,
    Privacy,
    QueryExpired,
    QueryStatus,
    Refunded,
    Rejected,
    Requested,
    Sealed,
    Unavailable,
    Unmined,
)
from nesa.chain.deployment import KeyFile
from nesa.chain.sender import Sender, SendPolicy
from nesa.client.answers import AnyQuery
from nesa.models.card import ClassifierCard
from nesa.protocol.digests import boundary_digest
from nesa.protocol.ids import Amount, Digest, QueryId
from tests.client.conftest import MLP
from tests.client.strangers import other_requester
from tests.standing_network import StandingNetwork, rich_account


async def let_time_pass(client: Client, seconds: int) -> None:
    await client.connection.request("evm_increaseTime", seconds)
    await client.connection.request("evm_mine")


async def test_what_a_lie_burns_is_said_before_anything_is_paid(client: Client) -> None:
    limits = await client.contracts.parameters.request_limits(at="latest")
    assert await client.lost_by_a_lie() == 3 * limits.seat_stake // 4
    assert await client.lost_by_a_lie(replicas=8) == 6 * limits.seat_stake // 4


async def test_a_request_costs_its_quote_and_says_what_was_asked(
    client: Client, model: Model, features: np.ndarray
) -> None:
    before = await client.balance()
    price = await client.quote(model)
    submitted = await client.submit(model, features)
    after = await client.balance()
    assert before.nes - after.nes == price == submitted.query.fee
    assert submitted.query.requester == client.address
    assert submitted.query.version_id == model.version_id


async def test_a_standing_allowance_saves_the_permit(
    client: Client, model: Model, features: np.ndarray
) -> None:
    by_permit = await client.submit(model, features)
    await client.allow(Amount(ONE_NES))
    by_allowance = await client.submit(model, features)
    assert by_allowance.request_gas is not None
    assert by_permit.request_gas is not None
    assert by_allowance.request_gas < by_permit.request_gas
    await client.allow(Amount(0))


async def test_queries_asked_at_once_are_paid_one_signature_after_the_other(
    client: Client, model: Model, features: np.ndarray
) -> None:
    before = await client.balance()
    asked = await asyncio.gather(*(client.submit(model, features) for _ in range(3)))
    after = await client.balance()
    assert len({submitted.query_id for submitted in asked}) == 3
    assert before.nes - after.nes == sum(submitted.query.fee for submitted in asked)


async def test_an_allowance_pays_for_what_it_holds_and_a_signature_for_the_rest(
    client: Client, model: Model, features: np.ndarray
) -> None:
    price, token = await client.quote(model), client.contracts.token
    await client.allow(Amount(2 * price))
    asked = await asyncio.gather(*(client.submit(model, features) for _ in range(4)))
    assert len({submitted.query_id for submitted in asked}) == 4
    left = await token.allowance(client.address, client.contracts.market.address, at="latest")
    assert left == 0
    await client.allow(Amount(price))
    await client.allow(Amount(0))
    assert (await client.submit(model, features)).query.fee == price


async def test_a_sealed_request_shows_neither_input_nor_digest(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features, privacy="sealed")
    receipt = await client.connection.request(
        "eth_getTransactionByHash", f"0x{submitted.tx_hash.hex()}"
    )
    shown = bytes.fromhex(receipt["input"][2:])
    plain = model.encode_features(features)
    assert submitted.query.privacy is Privacy.SEALED
    assert plain not in shown
    assert bytes(boundary_digest([model.card.input_edge], [plain])) not in shown
    assert submitted.content_key is not None
    assert submitted.content_key.hex() not in repr(submitted)


async def test_an_unanswered_query_expires_and_its_fee_comes_back(
    client: Client, model: Model, features: np.ndarray
) -> None:
    before = (await client.balance()).nes
    submitted = await client.submit(model, features)
    await let_time_pass(client, 61)
    with pytest.raises(QueryExpired, match=f"query {submitted.query_id} in time; its fee"):
        await client.result(submitted)
    assert await client.refund(submitted.query_id) == submitted.query.fee
    assert (await client.balance()).nes == before
    status = await client.contracts.market.status_of(submitted.query_id, at="latest")
    assert status is QueryStatus.REFUNDED


async def test_a_stranger_may_watch_a_query_from_request_to_refund(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    await client.connection.request("evm_mine")
    seen = []
    async with Client.connect(network.file, key=rich_account()) as stranger:
        async for stage in stranger.watch(submitted.query_id):
            seen.append(type(stage))
            if isinstance(stage, Drawn):
                assert [len(shard) for shard in stage.committees.shards] == [4, 4]
                await let_time_pass(client, 61)
            if isinstance(stage, Expired):
                await client.refund(submitted.query_id)
    assert seen == [Requested, Drawn, Expired, Refunded]


async def test_a_retry_draws_again(client: Client, model: Model, features: np.ndarray) -> None:
    submitted = await client.submit(model, features)
    await let_time_pass(client, 61)
    again = await client.retry(submitted)
    assert again.query.attempt == 1
    assert again.query.seed_block > submitted.query.seed_block
    assert (
        dataclasses.replace(
            again.query,
            attempt=0,
            seed_block=submitted.query.seed_block,
            opened_at=submitted.query.opened_at,
            answer_deadline=submitted.query.answer_deadline,
        )
        == submitted.query
    )


@pytest.mark.parametrize("named", ["submitted", "terms", "number"])
async def test_a_query_may_be_named_in_three_ways(
    client: Client, model: Model, features: np.ndarray, named: str
) -> None:
    submitted = await client.submit(model, features)
    ways: dict[str, AnyQuery] = {
        "submitted": submitted,
        "terms": submitted.query,
        "number": submitted.query_id,
    }
    await let_time_pass(client, 61)
    again = await client.retry(ways[named])
    assert (again.query.attempt, again.tx_hash) == (1, submitted.tx_hash)
    await let_time_pass(client, 61)
    assert await client.refund(ways[named]) == submitted.query.fee


@pytest.mark.parametrize("wrong", ["7", None, -1, 2**256, 1.5])
async def test_what_is_no_query_is_refused(client: Client, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="is no query"):
        await client.refund(wrong)


async def test_a_stranger_refunds_to_whoever_asked(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    async with other_requester(client, network.network) as stranger:
        theirs = await stranger.submit(model, features)
        await let_time_pass(client, 61)
        await client._own_sender.send(client.contracts.market.refund(theirs.query))
        owed = await stranger.balance()
        assert await stranger.refund(submitted.query_id) == submitted.query.fee
        assert (await stranger.balance()).credit_ready == owed.credit_ready == theirs.query.fee
    before = await client.balance()
    assert before.credit_ready == submitted.query.fee
    assert await client.withdraw() == submitted.query.fee
    assert (await client.balance()).nes - before.nes == submitted.query.fee
    assert await client.withdraw() == 0


async def test_a_query_is_found_again_with_its_key(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features, privacy="sealed")
    found = await client.find(submitted.query_id, content_key=submitted.content_key)
    assert found == submitted
    with pytest.raises(InvalidInput, match="the content key is not that of query"):
        await client.find(submitted.query_id, content_key=bytes(32))


async def test_a_query_is_found_by_the_transaction_that_asked_it(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    assert await client.find(submitted.tx_hash) == submitted
    with pytest.raises(Unavailable, match="in no block"):
        await client.find(Digest(bytes(32)))
    paid = await client._own_sender.send(
        client.contracts.token.approve(client.contracts.market.address, Amount(0))
    )
    with pytest.raises(InvalidInput, match="asked nothing"):
        await client.find(paid.tx_hash)


async def test_a_content_key_may_be_chosen_beforehand(
    client: Client, model: Model, features: np.ndarray
) -> None:
    chosen = bytes(range(32))
    submitted = await client.submit(model, features, privacy=Sealed(chosen))
    assert submitted.content_key == chosen


def test_what_is_no_content_key_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a content key has 32 bytes, not 31"):
        Sealed(bytes(31))


async def test_an_early_refund_is_refused(
    client: Client, model: Model, features: np.ndarray
) -> None:
    submitted = await client.submit(model, features)
    with pytest.raises(Rejected):
        await client.refund(submitted.query_id)


@pytest.mark.parametrize(
    "wrong",
    [
        [1.0] * 29,
        [[1.0] * 30, [1.0] * 30],
        [float("nan")] * 30,
        [float("inf")] * 30,
        ["a"] * 30,
        [],
        [[1.0], [1.0, 2.0]],
    ],
    ids=["short", "two rows", "NaN", "infinity", "text", "empty", "ragged"],
)
async def test_wrong_features_are_refused_before_anything_is_paid(
    client: Client, model: Model, wrong: list
) -> None:
    before = await client.balance()
    with pytest.raises(InvalidTensor):
        await client.submit(model, wrong)
    assert await client.balance() == before


async def test_an_unknown_model_is_named_with_those_there_are(client: Client) -> None:
    with pytest.raises(InvalidInput, match=f"no model gpt-9.*{MLP}"):
        await client.model("gpt-9")


async def test_a_retired_version_is_refused(
    client: Client, network: StandingNetwork, model: Model, features: np.ndarray
) -> None:
    snapshot = await client.connection.request("evm_snapshot")
    keys = network.folder / "keys" / "developer"
    key = KeyFile(keystore=keys / "developer.json", password_file=keys / "developer.password")
    async with Client.connect(network.file, key=key) as developer:
        await developer.developer().retire(model.version_id)
        with pytest.raises(Rejected, match="retired"):
            await client.submit(model, features)
    await client.connection.request("evm_revert", snapshot)


async def test_a_fee_limit_below_the_price_is_refused(
    client: Client, model: Model, features: np.ndarray
) -> None:
    price = await client.quote(model)
    with pytest.raises(InvalidInput, match="more than the limit"):
        await client.submit(model, features, max_fee=Amount(price - 1))


async def test_a_fee_limit_in_nes_is_told_from_units(
    client: Client, model: Model, features: np.ndarray
) -> None:
    with pytest.raises(InvalidInput, match=r"round\(0.5 \* nesa.ONE_NES\)"):
        await client.submit(model, features, max_fee=0.5)  # type: ignore[arg-type]


async def test_an_empty_purse_is_told_what_it_lacks(
    network: StandingNetwork, features: np.ndarray
) -> None:
    async with Client.connect(network.file, key=rich_account()) as poor:
        model = await poor.model(MLP)
        with pytest.raises(ExhaustedResource, match="send it at least 0.4 NES"):
            await poor.submit(model, features)


async def test_an_unknown_assurance_lists_the_known(client: Client, model: Model) -> None:
    with pytest.raises(InvalidInput, match="AGREED, CHALLENGED, PROVED"):
        await client.quote(model, assurance="SURE")


async def test_an_unknown_query_says_so(client: Client) -> None:
    with pytest.raises(InvalidInput, match="no query 999"):
        async for _ in client.watch(QueryId(999)):
            pass


async def test_a_dead_node_is_unavailable(network: StandingNetwork) -> None:
    nowhere = network.network.model_copy(update={"rpc_url": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable):
        async with Client.connect(nowhere):
            pass


async def test_another_chain_is_incompatible(network: StandingNetwork) -> None:
    contracts = network.network.contracts.model_copy(update={"chain_id": 5})
    other = network.network.model_copy(update={"chain_id": 5, "contracts": contracts})
    with pytest.raises(Incompatible, match="chain 31337"):
        async with Client.connect(other):
            pass


async def test_a_wrong_password_is_told_with_the_file(
    network: StandingNetwork, tmp_path: Path
) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong\n")
    assert network.network.client is not None
    key = network.network.client.model_copy(update={"password_file": wrong})
    with pytest.raises(InvalidConfiguration, match="password does not open"):
        async with Client.connect(network.file, key=key):
            pass


def test_a_missing_network_file_says_which(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"no network file .*nowhere.json"):
        Client.connect(tmp_path / "nowhere.json")


async def test_a_client_outside_of_its_context_says_so(network: StandingNetwork) -> None:
    with pytest.raises(InvalidConfiguration, match="async with"):
        await Client.connect(network.file).models()


async def test_every_registered_model_has_a_checked_card(
    client: Client, network: StandingNetwork
) -> None:
    names = {model.name for model in await client.models()}
    assert names == set(network.registered)


async def test_a_card_is_read_from_the_store_when_no_folder_is_at_hand(
    network: StandingNetwork,
) -> None:
    bare = Network.model_validate(network.network.model_dump() | {"models": ()})
    async with Client.connect(bare) as client:
        model = await client.model(MLP)
        assert isinstance(model.card, ClassifierCard)
        assert model.card.labels == ("malignant", "benign")


async def test_the_risk_of_a_draw_is_told_before_anything_is_paid(
    client: Client, model: Model
) -> None:
    """Two shards of four seats, all of them drawn: one liar in each can neither lie nor stop."""
    one_of_four = await client.draw_risk(model, corrupt=Fraction(1, 4))
    assert not one_of_four.captured
    assert not one_of_four.stalled
    assert (await client.draw_risk(model, corrupt=Fraction(1, 2))).stalled == 1
    assert (await client.draw_risk(model, corrupt=Fraction(3, 4))).captured == 1
    with pytest.raises(InvalidInput, match="cannot be drawn of"):
        await client.draw_risk(model, replicas=8)


async def test_a_request_in_no_block_says_how_to_go_on(
    client: Client, model: Model, features: np.ndarray
) -> None:
    patience = SendPolicy(poll=0.02, give_up=1.0)
    client._sender = Sender(client.connection, client._payer, patience)
    await client.connection.request("evm_setAutomine", False)
    try:
        with pytest.raises(Unmined, match="may still be mined and paid for") as late:
            await client.submit(model, features, privacy="sealed")
        sent = Digest(late.value.tx_hashes[-1])
        assert f"nesa answer 0x{sent.hex()}" in str(late.value)
        with pytest.raises(Unavailable, match="it may still be mined"):
            await client.find(sent)
    finally:
        await client.connection.request("evm_setAutomine", True)
        await client.connection.request("evm_mine")
    found = await client.find(sent, content_key=late.value.content_key)
    assert found.query.privacy is Privacy.SEALED
    assert found.content_key is not None
