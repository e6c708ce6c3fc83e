"""Attacks on private models: keys that were not meant for the attacker, and changed ciphertext."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nesa.privacy.keys import generate_key
from nesa.privacy.shard_files import FRAME_BYTES, TAG_BYTES, decrypt_file, encrypt_file
from nesa.protocol.errors import (
    IntegrityError,
    InvalidMessage,
    NesaError,
    NotEntitled,
    Unavailable,
)
from nesa.protocol.ids import Digest, VersionId
from nesa_miner.identity import Identity
from tests.adversary.releasing import PRIVATE, SECRET, VERSION, Release, identity

KEY, DIGEST = b"\x03" * 32, Digest(b"\x04" * 32)
FRAME = FRAME_BYTES + TAG_BYTES
WEIGHTS = bytes(index % 253 for index in range(3 * FRAME_BYTES))


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "released")


async def test_key_for_outsider(release: Release) -> None:
    """Somebody with a key pair of its own and no stake asks for weights: the signer of no operator
    is given nothing, and nothing is remembered of it."""
    outsider = identity(9)
    with pytest.raises(NotEntitled, match="signer of no operator"):
        await release.ask(outsider, 0)
    assert await release.ask(release.listed(1), 0) == SECRET.shard_key(PRIVATE.root, 0)


async def test_key_for_unlisted_operator(release: Release) -> None:
    """An operator with stake that the developer did not list asks all the same, or goes on asking
    after it was taken off the list: the chain's list is asked each time."""
    operator = release.listed(1)
    release.change(operator, is_admitted=False)
    with pytest.raises(NotEntitled, match="does not admit"):
        await release.ask(operator, 0)
    release.change(operator, is_admitted=True)
    assert await release.ask(operator, 0)
    release.change(operator, is_admitted=False)
    with pytest.raises(NotEntitled, match="does not admit"):
        await release.ask(operator, 0)


async def test_key_of_second_shard(release: Release) -> None:
    """A listed operator collects the model shard by shard, with a restart of the service between,
    or by leaving its seat: which shard it had is on disk, and it gets that one only."""
    operator = release.listed(1)
    first = await release.ask(operator, 0)
    for seat in (None, 0, 1):
        release.change(operator, seat=seat)
        with pytest.raises(NotEntitled, match="has the key of shard 0"):
            await release.ask(operator, 1)
        release.restart()
    release.change(operator, seat=0)
    assert await release.ask(operator, 0) == first
    other = release.listed(2)
    release.change(other, seat=1)
    with pytest.raises(NotEntitled, match="has the key of shard 1"):
        await release.ask(other, 0)


async def test_key_of_two_shards_at_once(release: Release) -> None:
    """A listed operator asks for every shard in the same moment, before any answer is remembered:
    one is kept before it leaves, and the others are refused."""
    operator = release.listed(1)
    asked = [release.service.answer(release.asked(operator, shard)) for shard in (0, 1)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(one, bytes) for one in answers] == [True, False]
    assert isinstance(answers[1], NotEntitled)


async def test_key_request_replayed(release: Release) -> None:
    """Somebody sends an operator's request again to learn its key: within its life it is known, and
    after a restart the answer is sealed to the operator all the same."""
    operator, outsider = release.listed(1), identity(9)
    request = release.asked(operator, 0)
    await release.service.answer(request)
    with pytest.raises(InvalidMessage, match="received before"):
        await release.service.answer(request)
    release.restart()
    answer = await release.service.answer(request)
    with pytest.raises(InvalidMessage):
        release.opened(outsider, answer)
    thief = Identity(operator.signer, outsider.encryption)
    with pytest.raises(InvalidMessage, match="not sealed to this receiver"):
        release.opened(thief, answer)


async def test_key_request_expired(release: Release) -> None:
    """Somebody keeps a request until its operator is listed again, or asks far ahead: a request is
    good for its minute."""
    operator = release.listed(1)
    request = release.asked(operator, 0)
    release.now = type(release.now)(release.now + 61)
    with pytest.raises(Unavailable, match="deadline has passed"):
        await release.service.answer(request)
    late = release.asked(operator, 0)
    release.now = type(release.now)(release.now - 3_600)
    with pytest.raises(Unavailable, match="too far away"):
        await release.service.answer(late)


async def test_key_under_anothers_signature(release: Release) -> None:
    """An unlisted operator asks in a listed one's name: it cannot sign as that one, a stolen signer
    key alone does not open the answer, and a signer that was replaced is given nothing."""
    operator, unlisted = release.listed(1), identity(9)
    request = release.asked(unlisted, 0)
    own, others = (bytes.fromhex(one.address[2:]) for one in (unlisted, operator))
    forged = request.replace(own, others)
    assert forged != request
    with pytest.raises(InvalidMessage, match="not signed by its sender"):
        await release.service.answer(forged)
    thief = Identity(operator.signer, generate_key())
    with pytest.raises(InvalidMessage, match="not sealed to this receiver"):
        await release.ask(thief, 0)
    release.change(operator, signer=unlisted.address)
    with pytest.raises(NotEntitled, match="signer of no operator"):
        await release.ask(operator, 0)


async def test_key_of_another_version(release: Release) -> None:
    """A listed operator asks for a version or a shard that is not there, or says something else, to
    have a key derived that opens another developer's files: only what is released has keys."""
    operator = release.listed(1)
    for shard, version in ((2, VERSION), (255, VERSION), (0, VersionId(b"\x09" * 32))):
        with pytest.raises(NotEntitled, match="not released here"):
            await release.service.answer(release.asked(operator, shard, version))
    for garbage in (b"", b"\x80", release.asked(operator, 0)[:-1], bytes(2_000)):
        with pytest.raises(NesaError):
            await release.service.answer(garbage)


def test_ciphertext_tampered() -> None:
    """A store changes ciphertext so that miners compute something else and lose their stake: no
    frame opens that was changed, wherever the change is."""
    sealed = encrypt_file(KEY, DIGEST, WEIGHTS)
    for place in (0, FRAME - 1, FRAME, 2 * FRAME + 5, len(sealed) - 1):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(IntegrityError):
            decrypt_file(KEY, DIGEST, changed)


def test_ciphertext_frames_moved() -> None:
    """A store exchanges, repeats or leaves out whole frames, each of which is sound by itself: a
    frame's place, and whether it is the last, are in its nonce."""
    sealed = encrypt_file(KEY, DIGEST, WEIGHTS)
    first, second, third = (sealed[start : start + FRAME] for start in range(0, len(sealed), FRAME))
    moved = (
        second + first + third,
        first + second + second + third,
        first + third,
        second + third,
        first + second,
        first,
        b"",
        sealed + third,
    )
    for frames in moved:
        with pytest.raises(IntegrityError):
            decrypt_file(KEY, DIGEST, frames)
    other = encrypt_file(KEY, Digest(b"\x05" * 32), WEIGHTS)
    with pytest.raises(IntegrityError):
        decrypt_file(KEY, DIGEST, first + other[FRAME : 2 * FRAME] + third)
