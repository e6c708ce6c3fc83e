"""Writes docs/test-vectors.json: fixed inputs of every protocol rule with what must come out.

`python -m scripts.export_test_vectors` writes the file, `--check` fails when it is stale.
"""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.commitments import (
    Attestation,
    ShardContext,
    attestation_hash,
    commitment,
    set_digest,
)
from nesa.protocol.consent import consent_hash, sign_consent
from nesa.protocol.digests import blinded_digest, boundary_digest, bytes_root, tensor_digest
from nesa.protocol.draw import query_seed, slot_order
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.fees import split_fee
from nesa.protocol.ids import Address, Amount, BlockNumber, Digest, Epoch, QueryId, Timestamp
from nesa.protocol.ids import VersionId as Version
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import (
    Assurance,
    Privacy,
    Query,
    ShardReport,
    SignedResult,
    report_words,
    terms_hash,
)
from nesa.protocol.sessions import (
    FIRST_SESSION,
    Voucher,
    products_id,
    sign_voucher,
    voucher_hash,
)
from nesa.protocol.signatures import sign_digest
from nesa.protocol.versions import ShardFacts, version_id, version_root

PATH: Final = Path(__file__).parents[1] / "docs" / "test-vectors.json"

CHAIN: Final = 31337
MARKET: Final = Address("0x1111111111111111111111111111111111111111")
MEMBER: Final = PrivateKey(keccak(text="member"))
RULES: Final = QueryParameters(7000, 1000, 500, 250, 20, 3, 20, 3, 60, 30, 120, 60, 20)


def _word(text: str) -> Digest:
    return Digest(keccak(text=text))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def tensors() -> list[dict[str, Any]]:
    """Edge types, roots and digests of tensors of one, some and many leaves."""
    vectors = []
    for dtype, shape in (
        (DType.INT8, (1, 30)),
        (DType.UINT8, (256,)),
        (DType.INT16, (3, 300)),
        (DType.INT32, (1, 1, 1, 5, 40)),
    ):
        edge = EdgeType(dtype, shape, 0, 100)
        data = edge.encode(edge.decode(b"".join(_counting(edge))))
        vectors.append(
            {
                "edge_type": _hex(edge.pack()),
                "data": _hex(data),
                "root": _hex(bytes_root(data)),
                "tensor_digest": _hex(tensor_digest(edge, data)),
                "boundary_digest": _hex(boundary_digest([edge], [data])),
                "blinded_digest": _hex(
                    blinded_digest(boundary_digest([edge], [data]), _word("blind"))
                ),
            }
        )
    return vectors


def _counting(edge: EdgeType) -> list[bytes]:
    size = edge.dtype.itemsize
    return [(index % 101).to_bytes(size, "little") for index in range(edge.elements)]


def versions() -> dict[str, Any]:
    """A version of two shards."""
    first = EdgeType(DType.INT8, (1, 30), -127, 127)
    middle = EdgeType(DType.UINT8, (1, 64), 0, 255)
    last = EdgeType(DType.INT16, (1, 2), -32768, 32767)
    shards = [
        ShardFacts((first,), (middle,), _word("file 0"), _word("circuit 0"), _word("code 0")),
        ShardFacts((middle,), (last,), _word("file 1"), _word("circuit 1"), _word("code 1")),
    ]
    root = version_root(_word("operators"), shards, _word("metadata"))
    return {
        "operators_root": _hex(_word("operators")),
        "metadata_digest": _hex(_word("metadata")),
        "edges": [_hex(edge.pack()) for edge in (first, middle, last)],
        "shards": [
            {
                "inputs": [_hex(edge.pack()) for edge in shard.input_edges],
                "outputs": [_hex(edge.pack()) for edge in shard.output_edges],
                "file_digest": _hex(shard.file_digest),
                "circuit_digest": _hex(shard.circuit_digest),
                "verifier_code_hash": _hex(shard.verifier_code_hash),
            }
            for shard in shards
        ],
        "root": _hex(root),
        "developer": MARKET,
        "version_id": _hex(version_id(MARKET, root)),
    }


def draws() -> list[dict[str, Any]]:
    """Slot orders for some sizes."""
    seed = query_seed(CHAIN, MARKET, QueryId(7), 1, _word("block"))
    return [
        {
            "block_hash": _hex(_word("block")),
            "query_id": 7,
            "attempt": 1,
            "seed": _hex(seed),
            "shard": shard,
            "slots": slots,
            "order": list(slot_order(seed, shard, slots)),
        }
        for shard, slots in ((0, 1), (0, 4), (1, 4), (8, 13), (2, 64))
    ]


def agreement() -> dict[str, Any]:
    """A commitment, a set, and an attestation with its signature."""
    context = ShardContext(CHAIN, MARKET, QueryId(7), 1, _word("block"), 1)
    member = Address(MEMBER.public_key.to_checksum_address())
    digests = (_word("in"), _word("out"))
    one = commitment(context, 2, member, *digests, _word("salt"))
    commitments = [one, bytes(32), one, bytes(32)]
    whole = set_digest(context, 2, commitments)
    attestation = Attestation(QueryId(7), 1, 1, 2, *digests, _word("payload"), whole)
    signed = attestation_hash(CHAIN, MARKET, attestation)
    r, vs = sign_digest(MEMBER, signed)
    result = SignedResult(0, _word("salt"), r, vs)
    report = ShardReport(2, digests[1], tuple(map(Digest, commitments)), (result,))
    return {
        "query_id": context.query_id,
        "attempt": context.attempt,
        "seed": _hex(context.seed),
        "shard": context.shard,
        "round": 2,
        "in_digest": _hex(digests[0]),
        "out_digest": _hex(digests[1]),
        "payload_hash": _hex(_word("payload")),
        "salt": _hex(_word("salt")),
        "member": member,
        "member_key": _hex(MEMBER.to_bytes()),
        "commitment": _hex(one),
        "commitments": [_hex(word) for word in commitments],
        "set_digest": _hex(whole),
        "attestation_hash": _hex(signed),
        "r": _hex(r),
        "vs": _hex(vs),
        "report": [_hex(word) for word in report_words([report])],
    }


def consent() -> dict[str, Any]:
    """A signer's consent to work for an operator; the market's address stands for the vault."""
    operator = Address("0x" + "22" * 20)
    r, vs = sign_consent(MEMBER, CHAIN, MARKET, operator)
    return {
        "vault": MARKET,
        "operator": operator,
        "signer": MEMBER.public_key.to_checksum_address(),
        "hash": _hex(consent_hash(CHAIN, MARKET, operator)),
        "r": _hex(r),
        "vs": _hex(vs),
    }


def sessions() -> dict[str, Any]:
    """A list of products, and a voucher with its signature; the market's address stands for the
    sessions contract."""
    listed = [Version(_word(f"product {number}")) for number in range(3)]
    operator = Address("0x" + "22" * 20)
    voucher = Voucher(QueryId(FIRST_SESSION + 1), operator, Amount(150_000_000))
    r, vs = sign_voucher(MEMBER, CHAIN, MARKET, voucher)
    return {
        "sessions": MARKET,
        "version_ids": [_hex(version) for version in listed],
        "products_id": _hex(products_id(listed)),
        "session_id": str(voucher.session_id),
        "operator": operator,
        "amount": voucher.amount,
        "payer": MEMBER.public_key.to_checksum_address(),
        "hash": _hex(voucher_hash(CHAIN, MARKET, voucher)),
        "r": _hex(r),
        "vs": _hex(vs),
    }


def settlement() -> dict[str, Any]:
    """Terms, their hash, and the split of a fee that does not divide evenly."""
    query = Query(
        QueryId(7),
        MARKET,
        Version(_word("version")),
        _word("input"),
        EdgeType(DType.INT16, (1, 2), -32768, 32767).pack(),
        Assurance.AGREED,
        Privacy.OPEN,
        2,
        4,
        Amount(1_000_003),
        Amount(0),
        Amount(77),
        100_000,
        Epoch(12),
        4 | 4 << 24,
        RULES.pack(),
        Timestamp(1_800_000_000),
        Timestamp(1_800_000_060),
        1,
        BlockNumber(99),
    )
    split = split_fee(query)
    terms = {f.name: v for f, v in zip(fields(query), query.as_abi(), strict=True)}
    plain = {name: _hex(v) if isinstance(v, bytes) else v for name, v in terms.items()}
    return {
        "terms": plain | {"parameters": hex(query.parameters)},
        "parameters": hex(RULES.pack()),
        "terms_hash": _hex(terms_hash(CHAIN, MARKET, query)),
        "fee": query.fee,
        "slot": split.slot,
        "oracle": split.oracle,
        "delivery": split.delivery,
        "royalty": split.royalty,
        "reviewers": split.reviewers,
        "treasury": split.treasury,
    }


def document() -> str:
    """The whole file."""
    vectors = {
        "protocol_version": 1,
        "chain_id": CHAIN,
        "market": MARKET,
        "tensors": tensors(),
        "versions": versions(),
        "draws": draws(),
        "agreement": agreement(),
        "consent": consent(),
        "settlement": settlement(),
        "sessions": sessions(),
    }
    return json.dumps(vectors, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` say whether it is fresh."""
    if "--check" not in arguments:
        PATH.write_text(document())
        return 0
    if PATH.exists() and PATH.read_text() == document():
        return 0
    print("docs/test-vectors.json is stale: run `python -m scripts.export_test_vectors`")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
