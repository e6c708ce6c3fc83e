"""What a miner states about its machine, signed so that it can be held to it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from eth_account.messages import encode_typed_data
from eth_keys.datatypes import PrivateKey

from nesa.protocol import cbor
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest, Timestamp
from nesa.protocol.shapes import ADDRESS, WORD, record, uint
from nesa.protocol.signatures import recover_signer, sign_digest, signing_domain, typed_hash

MAX_STATEMENT_BYTES: Final = 512

_FIGURES: Final = (
    "measured_at",
    "float32_rate",
    "float64_rate",
    "int8_rate",
    "memory_bandwidth",
    "overhead_picoseconds",
    "free_memory",
)
_TYPES: Final = {
    "CapacityStatement": [{"name": "signer", "type": "address"}]
    + [{"name": name, "type": "uint64"} for name in _FIGURES]
}


@dataclass(frozen=True, slots=True)
class CapacityStatement:
    """Figures of one thread of the machine behind `signer`, at `measured_at`.

    Rates are multiply-adds a second, `memory_bandwidth` bytes a second, `overhead_picoseconds`
    what each operator takes besides, `free_memory` bytes. `r` and `vs` are the signature.
    """

    version: int
    chain_id: int
    vault: Address
    signer: Address
    measured_at: Timestamp
    float32_rate: int
    float64_rate: int
    int8_rate: int
    memory_bandwidth: int
    overhead_picoseconds: int
    free_memory: int
    r: bytes = bytes(32)
    vs: bytes = bytes(32)


_STATEMENT: Final = record(
    CapacityStatement,
    version=uint(8),
    chain_id=uint(64),
    vault=ADDRESS,
    signer=ADDRESS,
    **dict.fromkeys(_FIGURES, uint(64)),
    r=WORD,
    vs=WORD,
)


def statement_hash(statement: CapacityStatement) -> Digest:
    """The 32 bytes that the signer signs, an EIP-712 message under the vault's domain."""
    domain = signing_domain(statement.chain_id, statement.vault)
    figures = {name: getattr(statement, name) for name in ("signer", *_FIGURES)}
    return typed_hash(encode_typed_data(domain, _TYPES, figures))


def sign_statement(statement: CapacityStatement, key: PrivateKey) -> CapacityStatement:
    """The statement with its signature.

    Raises:
        InvalidMessage: the key is not that of its signer, or a figure does not fit 64 bits.
    """
    encode_statement(statement)
    if Address(key.public_key.to_checksum_address()) != statement.signer:
        raise InvalidMessage("a capacity statement is signed by the signer that it names")
    r, vs = sign_digest(key, statement_hash(statement))
    return replace(statement, r=r, vs=vs)


def encode_statement(statement: CapacityStatement) -> bytes:
    """Canonical bytes of the statement.

    Raises:
        InvalidMessage: a field is out of its bounds.
    """
    return cbor.encode(_STATEMENT.pack(statement))


def decode_statement(data: bytes) -> CapacityStatement:
    """The statement that `data` is the canonical encoding of, its signature checked.

    Raises:
        InvalidMessage: too long, not canonical, another version, a rate of 0, or signed by
            somebody else.
    """
    statement: CapacityStatement = _STATEMENT.unpack(cbor.decode(data, MAX_STATEMENT_BYTES))
    if statement.version != PROTOCOL_VERSION:
        raise InvalidMessage(f"protocol version {statement.version} is not {PROTOCOL_VERSION}")
    rates = [getattr(statement, one.name) for one in fields(statement) if "rate" in one.name]
    if min(*rates, statement.memory_bandwidth) == 0:
        raise InvalidMessage("a capacity statement has a rate of 0")
    if recover_signer(statement_hash(statement), statement.r, statement.vs) != statement.signer:
        raise InvalidMessage("the capacity statement is not signed by its signer")
    return statement
