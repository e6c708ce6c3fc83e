"""What is kept of wrong sums says whether the share was used; older files do not say it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_keys.datatypes import PrivateKey

from nesa.privacy.shared.evidence import (
    ShareEvidence,
    decode_share_evidence,
    encode_share_evidence,
)
from nesa.privacy.shared.statements import sign_sums
from nesa.protocol import cbor
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import ZERO_DIGEST, Digest, VersionId

from .parties import SESSION

DIGEST = Digest(b"\x01" * 32)
SAID = sign_sums(PrivateKey(b"\x01" * 32), SESSION.product(0), 0, DIGEST, DIGEST)
KEPT = ShareEvidence(VersionId(ZERO_DIGEST), SAID, b"digits", is_discarded=True)


def fields(evidence: ShareEvidence) -> list[cbor.Item]:
    data = encode_share_evidence(evidence)
    found = cbor.decode(data, len(data))
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("is_discarded", [False, True])
def test_evidence_says_whether_its_share_was_discarded(is_discarded: bool) -> None:
    evidence = replace(KEPT, is_discarded=is_discarded)
    assert decode_share_evidence(encode_share_evidence(evidence)) == evidence


def test_an_older_file_counts_as_a_share_that_was_used() -> None:
    older = cbor.encode(fields(KEPT)[:-1])
    assert decode_share_evidence(older) == replace(KEPT, is_discarded=False)


@pytest.mark.parametrize("mark", [2, b"", None])
def test_another_mark_is_none(mark: cbor.Item) -> None:
    with pytest.raises(InvalidMessage, match="is_discarded"):
        decode_share_evidence(cbor.encode([*fields(KEPT)[:-1], mark]))
