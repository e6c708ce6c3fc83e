"""Envelopes: for one receiver, by one sender, once, for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_keys.datatypes import PrivateKey

from nesa.privacy.envelopes import (
    MAX_LIFETIME,
    Deployment,
    Opened,
    Receiver,
    ReplayWindow,
    open_envelope,
    seal_envelope,
)
from nesa.privacy.keys import generate_key, public_key
from nesa.privacy.sealing import seal_to
from nesa.protocol.commitments import ShardContext
from nesa.protocol.envelopes import (
    MAX_ENVELOPE_BYTES,
    Envelope,
    decode_envelope,
    encode_envelope,
    envelope_digest,
    header_of,
)
from nesa.protocol.errors import ExhaustedResource, InvalidMessage, Unavailable
from nesa.protocol.ids import Address, Digest, QueryId, Timestamp
from nesa.protocol.messages import Inquiry
from nesa.protocol.signatures import sign_digest

SENDER = PrivateKey(b"\x01" * 32)
OUTSIDER = PrivateKey(b"\x02" * 32)
MEMBER = PrivateKey(b"\x03" * 32)
KEY = generate_key()
MARKET = Address("0x" + "11" * 20)
DEPLOYMENT = Deployment(31337, MARKET)
MESSAGE = Inquiry(ShardContext(31337, MARKET, QueryId(1), 0, Digest(bytes(32)), 0), 0)
NOW = Timestamp(1_000)


def account(key: PrivateKey) -> Address:
    return Address(key.public_key.to_checksum_address())


def seal(nonce: int = 0, deadline: int = NOW + 30, signer: PrivateKey = SENDER) -> bytes:
    return seal_envelope(
        MESSAGE,
        deployment=DEPLOYMENT,
        signer=signer,
        receiver=Receiver(account(MEMBER), KEY.public_key()),
        nonce=nonce.to_bytes(16, "big"),
        deadline=Timestamp(deadline),
    )


def open_(data: bytes, window: ReplayWindow | None = None, now: int = NOW) -> Opened:
    return open_envelope(
        data,
        deployment=DEPLOYMENT,
        me=account(MEMBER),
        key=KEY,
        window=window or ReplayWindow(),
        now=Timestamp(now),
    )


def signed_again(envelope: Envelope, signer: PrivateKey = SENDER) -> bytes:
    r, vs = sign_digest(signer, envelope_digest(header_of(envelope), envelope.ciphertext))
    return encode_envelope(replace(envelope, r=r, vs=vs))


def test_the_receiver_reads_the_message_and_who_sent_it() -> None:
    assert open_(seal()) == Opened(account(SENDER), MESSAGE)


def test_an_envelope_opens_once() -> None:
    window, data = ReplayWindow(), seal()
    open_(data, window)
    with pytest.raises(InvalidMessage, match="before"):
        open_(data, window)


def test_the_same_nonce_of_another_sender_is_another_envelope() -> None:
    window = ReplayWindow()
    open_(seal(), window)
    open_(seal(signer=OUTSIDER), window)


@pytest.mark.parametrize("now", [NOW + 31, NOW + 30 - MAX_LIFETIME - 1])
def test_what_is_late_or_early_by_the_clock_here_may_be_sealed_again(now: int) -> None:
    with pytest.raises(Unavailable, match="deadline"):
        open_(seal(), now=now)


def test_another_member_cannot_open_it() -> None:
    with pytest.raises(InvalidMessage, match="not sealed"):
        open_envelope(
            seal(),
            deployment=DEPLOYMENT,
            me=account(MEMBER),
            key=generate_key(),
            window=ReplayWindow(),
            now=NOW,
        )


def test_a_key_that_was_replaced_opens_what_was_sealed_to_it() -> None:
    def opened(*former: X25519PrivateKey) -> Opened:
        return open_envelope(
            seal(),
            deployment=DEPLOYMENT,
            me=account(MEMBER),
            key=generate_key(),
            former=former,
            window=ReplayWindow(),
            now=NOW,
        )

    assert opened(generate_key(), KEY).message == MESSAGE
    with pytest.raises(InvalidMessage, match="not sealed"):
        opened(generate_key())


CHANGES: list[tuple[str, Callable[[Envelope], Envelope]]] = [
    ("another chain", lambda envelope: replace(envelope, chain_id=1)),
    ("another chain", lambda envelope: replace(envelope, market=account(OUTSIDER))),
    ("another receiver", lambda envelope: replace(envelope, receiver=account(OUTSIDER))),
    ("not sealed", lambda envelope: replace(envelope, nonce=b"\x09" * 16)),
    ("not sealed", lambda envelope: replace(envelope, deadline=Timestamp(NOW + 29))),
    ("not sealed", lambda envelope: replace(envelope, ciphertext=envelope.ciphertext[::-1])),
    ("not sealed", lambda envelope: replace(envelope, ciphertext=b"")),
    ("protocol version", lambda envelope: replace(envelope, version=2)),
]


@pytest.mark.parametrize(("reason", "change"), CHANGES)
def test_a_changed_envelope_is_refused_even_when_signed_again(
    reason: str, change: Callable[[Envelope], Envelope]
) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        open_(signed_again(change(decode_envelope(seal()))))


@pytest.mark.parametrize(("reason", "change"), CHANGES)
def test_a_changed_envelope_is_refused_by_its_signature(
    reason: str, change: Callable[[Envelope], Envelope]
) -> None:
    with pytest.raises(InvalidMessage):
        open_(encode_envelope(change(decode_envelope(seal()))))


def test_a_sender_cannot_pass_off_another_senders_ciphertext() -> None:
    stolen = replace(decode_envelope(seal()), sender=account(OUTSIDER))
    with pytest.raises(InvalidMessage, match="not sealed"):
        open_(signed_again(stolen, OUTSIDER))


def test_an_envelope_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(InvalidMessage, match="over the limit"):
        open_(bytes(MAX_ENVELOPE_BYTES + 1))


def test_the_window_is_bounded_for_each_sender() -> None:
    window = ReplayWindow(most_per_sender=2)
    open_(seal(1), window)
    open_(seal(2), window)
    with pytest.raises(ExhaustedResource):
        open_(seal(3), window)
    open_(seal(1, signer=OUTSIDER), window)


def test_strangers_without_number_keep_nobody_out() -> None:
    window = ReplayWindow(most_senders=2)
    open_(seal(1), window)
    for number in range(5):
        stranger = PrivateKey(bytes([number + 10]) * 32)
        open_(seal(1, signer=stranger), window)
        open_(seal(2 + number), window)
    with pytest.raises(InvalidMessage, match="before"):
        open_(seal(6), window)
    assert len(window._seen) == 2


def test_a_receiver_with_a_key_of_low_order_gets_nothing() -> None:
    receiver = Receiver(account(MEMBER), public_key(b"\x01" + bytes(31)))
    with pytest.raises(InvalidMessage, match="nothing can be encrypted"):
        seal_envelope(
            MESSAGE,
            deployment=DEPLOYMENT,
            signer=SENDER,
            receiver=receiver,
            nonce=bytes(16),
            deadline=NOW,
        )


def test_the_window_forgets_what_is_over() -> None:
    window = ReplayWindow(most_per_sender=1, most_senders=1)
    open_(seal(1, NOW + 5), window)
    open_(seal(2, NOW + 30), window, NOW + 6)
    open_(seal(3, NOW + 60, OUTSIDER), window, NOW + 31)


def test_an_envelope_that_was_cut_off_is_refused() -> None:
    data = seal()
    for length in range(len(data)):
        with pytest.raises(InvalidMessage):
            open_(data[:length])
    with pytest.raises(InvalidMessage, match="follow the message"):
        open_(data + b"\0")


def test_no_changed_bit_leaves_an_envelope_that_opens() -> None:
    """Nothing but our own errors comes of it, wherever the bit is."""
    data = seal()
    for place in range(0, 8 * len(data), 7):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises((InvalidMessage, Unavailable)):
            open_(bytes(changed))


def test_an_envelope_that_opens_to_no_message_is_refused() -> None:
    """Whoever signs may seal anything: what is inside is checked as what is outside."""
    header = header_of(decode_envelope(seal()))
    for content in (b"", b"\x80", bytes(1000), b"\x9f" * 500):
        sealed = seal_to(KEY.public_key(), content, header)
        envelope = replace(decode_envelope(seal()), ciphertext=sealed)
        with pytest.raises(InvalidMessage):
            open_(signed_again(envelope))
