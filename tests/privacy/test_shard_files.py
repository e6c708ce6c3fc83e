"""Ciphertexts of shards open whole, in order and under their own key, or not at all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nesa.models.graph import Parameter, ParameterKind
from nesa.privacy.shard_files import FRAME_BYTES, TAG_BYTES, decrypt_file, encrypt_file
from nesa.protocol.errors import IntegrityError
from nesa.protocol.ids import Digest

KEY, DIGEST = bytes(range(32)), Digest(b"\7" * 32)


def content(size: int) -> bytes:
    return bytes(index * 31 % 251 for index in range(size))


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 200_000])
def test_a_file_comes_back(size: int) -> None:
    data = content(size)
    sealed = encrypt_file(KEY, DIGEST, data)
    assert decrypt_file(KEY, DIGEST, sealed) == data
    assert len(sealed) == size + TAG_BYTES * max(1, -(-size // FRAME_BYTES))


def test_the_same_content_is_the_same_ciphertext_and_another_shares_nothing() -> None:
    """Publishing again changes nothing, and no two contents meet under one key and nonce."""
    data = content(3 * FRAME_BYTES)
    sealed = encrypt_file(KEY, DIGEST, data)
    assert encrypt_file(KEY, DIGEST, data) == sealed
    for key, digest in ((bytes(32), DIGEST), (KEY, Digest(bytes(32)))):
        other = encrypt_file(key, digest, data)
        assert not set(blocks(other)) & set(blocks(sealed))
    zeros = blocks(encrypt_file(KEY, DIGEST, bytes(99)))
    assert all(one != other for one, other in pairwise(zeros))


def blocks(data: bytes) -> list[bytes]:
    return [data[start : start + 16] for start in range(0, len(data), 16)]


@settings(max_examples=20)
@given(st.integers(0, 2 * FRAME_BYTES + 99), st.integers(0, 7))
def test_a_flipped_bit_is_found(place: int, bit: int) -> None:
    sealed = bytearray(encrypt_file(KEY, DIGEST, content(2 * FRAME_BYTES + 52)))
    sealed[place] ^= 1 << bit
    with pytest.raises(IntegrityError, match="does not open with the key"):
        decrypt_file(KEY, DIGEST, bytes(sealed))


@pytest.mark.parametrize(("key", "digest"), [(bytes(32), DIGEST), (KEY, Digest(bytes(32)))])
def test_another_key_or_content_does_not_open_it(key: bytes, digest: Digest) -> None:
    with pytest.raises(IntegrityError, match="frame 0"):
        decrypt_file(key, digest, encrypt_file(KEY, DIGEST, content(9)))


def test_a_lone_constant_is_guessed_from_its_root() -> None:
    """A known limit: the index, which all can read, states the root of every constant. A multiplier
    of one rescale has as many values as 13 bits; a row of weights has too many to try."""
    secret = Parameter(ParameterKind.MULTIPLIERS, np.array([5_021], np.int32)).root

    def roots(value: int) -> bytes:
        return Parameter(ParameterKind.MULTIPLIERS, np.array([value], np.int32)).root

    assert [value for value in range(64, 8_192) if roots(value) == secret] == [5_021]
