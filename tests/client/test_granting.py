"""Who asked a sealed query, and nobody else, lets others see it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account

from nesa.chain.anvil import CHAIN_ID
from nesa.chain.deployment import CONTRACT_NAMES, Deployment
from nesa.client.granting import granted_view
from nesa.models.folder import load
from nesa.privacy.grants import Granted, decode_grant, encode_grant, open_grant
from nesa.privacy.keys import generate_key, public_bytes
from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address
from tests.miner.committee_network import MODEL, REQUESTER, open_request, sealed_request
from tests.oracle.cases import MARKET

CONTENT_KEY = bytes(range(32))
ASKED = sealed_request(load(MODEL), 3, CONTENT_KEY)
CLIENT, OUTSIDER = Account.from_key(REQUESTER.to_bytes()), Account.from_key(b"\x09" * 32)
TOWER = generate_key()
DEPLOYMENT = Deployment.model_validate(
    {"chain_id": CHAIN_ID, "block": 1, **dict.fromkeys(CONTRACT_NAMES, MARKET)}
)


def test_the_client_grants_what_it_asked():
    made = granted_view(ASKED, CONTENT_KEY, public_bytes(TOWER), CLIENT, DEPLOYMENT)
    sent = decode_grant(encode_grant(made))
    assert sent.granted == Granted(CHAIN_ID, Address(MARKET), ASKED.query.query_id)
    assert open_grant(sent, TOWER, ASKED.query.requester) == CONTENT_KEY


def test_a_long_query_is_granted_without_its_input():
    long = replace(ASKED, input=b"https://client.example/input")
    made = granted_view(long, CONTENT_KEY, public_bytes(TOWER), CLIENT, DEPLOYMENT)
    assert open_grant(made, TOWER, ASKED.query.requester) == CONTENT_KEY


@pytest.mark.parametrize(
    ("asked", "key", "account", "problem"),
    [
        (open_request(load(MODEL), 3), CONTENT_KEY, CLIENT, "is open"),
        (ASKED, CONTENT_KEY, OUTSIDER, "who grants it"),
        (ASKED, None, CLIENT, "is needed"),
        (ASKED, bytes(32), CLIENT, "is not that of query 1"),
        (replace(ASKED, input=b"cut"), CONTENT_KEY, CLIENT, "is not that of query 1"),
    ],
)
def test_what_makes_no_sense_is_not_granted(asked, key, account, problem):
    with pytest.raises(InvalidInput, match=problem):
        granted_view(asked, key, public_bytes(TOWER), account, DEPLOYMENT)


def test_a_key_that_nothing_can_be_sealed_to_is_refused():
    with pytest.raises(InvalidInput, match="view key"):
        granted_view(ASKED, CONTENT_KEY, bytes(32), CLIENT, DEPLOYMENT)
