"""Only who is named in a client's grant sees a sealed query, and only that one."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey

from nesa.privacy.grants import (
    MAX_GRANT_BYTES,
    Granted,
    ViewGrant,
    decode_grant,
    encode_grant,
    grant_view,
    open_grant,
)
from nesa.privacy.keys import public_bytes
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import Address, QueryId
from nesa.protocol.signatures import sign_digest

CONTENT_KEY = bytes(range(32))
CLIENT, OUTSIDER = PrivateKey(b"\1" * 32), PrivateKey(b"\2" * 32)
CLIENT_ADDRESS = Address(CLIENT.public_key.to_checksum_address())
HOLDER = X25519PrivateKey.from_private_bytes(b"\3" * 32)
OTHER = X25519PrivateKey.from_private_bytes(b"\4" * 32)
GRANTED = Granted(31337, CLIENT_ADDRESS, QueryId(7))


def grant(client: PrivateKey = CLIENT, holder: X25519PrivateKey = HOLDER) -> ViewGrant:
    return grant_view(CONTENT_KEY, GRANTED, public_bytes(holder), client)


def resigned(changed: ViewGrant) -> ViewGrant:
    """As a client would have signed it that wrapped something else."""
    r, vs = sign_digest(CLIENT, changed.digest)
    return replace(changed, r=r, vs=vs)


def test_the_holder_sees_the_query():
    sent = decode_grant(encode_grant(grant()))
    assert sent.granted == GRANTED
    assert open_grant(sent, HOLDER, CLIENT_ADDRESS) == CONTENT_KEY


def test_nobody_else_does():
    with pytest.raises(InvalidMessage, match="another view key"):
        open_grant(grant(), OTHER, CLIENT_ADDRESS)
    with pytest.raises(InvalidMessage, match="does not open"):
        open_grant(resigned(replace(grant(), holder=public_bytes(OTHER))), OTHER, CLIENT_ADDRESS)


def test_a_member_that_leaks_the_key_grants_nothing():
    with pytest.raises(InvalidMessage, match="not signed by the client"):
        open_grant(grant(client=OUTSIDER), HOLDER, CLIENT_ADDRESS)


@pytest.mark.parametrize(
    "granted",
    [
        replace(GRANTED, chain_id=1),
        replace(GRANTED, market=Address(OUTSIDER.public_key.to_checksum_address())),
        replace(GRANTED, query_id=QueryId(8)),
    ],
)
def test_a_grant_is_for_one_query(granted: Granted):
    moved = replace(grant(), granted=granted)
    with pytest.raises(InvalidMessage, match="not signed by the client"):
        open_grant(moved, HOLDER, CLIENT_ADDRESS)
    with pytest.raises(InvalidMessage, match="does not open"):
        open_grant(resigned(moved), HOLDER, CLIENT_ADDRESS)


def test_what_is_no_key_grants_nothing():
    with pytest.raises(InvalidInput, match="content key"):
        grant_view(b"short", GRANTED, public_bytes(HOLDER), CLIENT)
    for holder in (bytes(32), b"short"):
        with pytest.raises(InvalidInput, match="view key"):
            grant_view(CONTENT_KEY, GRANTED, holder, CLIENT)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[1]", "\0", '{"kind": "nesa-view-grant"}', " " * (MAX_GRANT_BYTES + 1)],
)
def test_what_is_no_grant_is_refused(text: str):
    with pytest.raises(InvalidMessage):
        decode_grant(text)


def test_a_field_of_another_form_is_refused():
    text = encode_grant(grant())
    for old, new in (("31337", "-1"), ('"0x', '"0y'), ('"vs"', '"other"')):
        with pytest.raises(InvalidMessage, match="no view grant"):
            decode_grant(text.replace(old, new))


@pytest.mark.parametrize("field", ["chain_id", "query_id"])
@pytest.mark.parametrize("number", [0, -1, 1 << 64, 1 << 300, 1.5, "7", None])
def test_a_number_that_no_chain_has_is_refused(field: str, number: object):
    document = json.loads(encode_grant(grant()))
    with pytest.raises(InvalidMessage, match="no view grant"):
        decode_grant(json.dumps(document | {field: number}))


def test_a_grant_that_was_cut_off_is_none():
    text = encode_grant(grant()).rstrip()
    for length in range(len(text)):
        with pytest.raises(InvalidMessage):
            decode_grant(text[:length])


def test_no_changed_character_leaves_a_grant():
    """Wherever somebody changes a grant, it is refused, and never opens to another key."""
    text, drawn = encode_grant(grant()), random.Random(1)
    for place in range(0, len(text) - 2, 3):
        changed = text[:place] + chr(drawn.randrange(33, 127)) + text[place + 1 :]
        try:
            opened = open_grant(decode_grant(changed), HOLDER, CLIENT_ADDRESS)
        except InvalidMessage:
            continue
        assert opened == CONTENT_KEY
        assert decode_grant(changed) == decode_grant(text), changed


@pytest.mark.parametrize("field", ["r", "vs"])
@pytest.mark.parametrize("word", ["0x" + "00" * 32, "0x" + "ff" * 32])
def test_a_signature_that_is_none_is_refused(field: str, word: str):
    document = json.loads(encode_grant(grant()))
    with pytest.raises(InvalidMessage, match="signature|not signed"):
        open_grant(decode_grant(json.dumps(document | {field: word})), HOLDER, CLIENT_ADDRESS)
