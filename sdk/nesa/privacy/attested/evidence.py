"""What an operator shows of its enclave: a quote, its collateral, and for whom it is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nesa.models.canonical import canonical_json
from nesa.models.validation import first_problem
from nesa.privacy.attested.binding import Binding
from nesa.privacy.attested.quotes import MAX_COLLATERAL_BYTES, MAX_QUOTE_BYTES
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address, Digest

SEAT_EVIDENCE_PATH: Final = "/v1/seat-evidence"
MAX_SEAT_EVIDENCE_BYTES: Final = 2 * (MAX_QUOTE_BYTES + MAX_COLLATERAL_BYTES) + 4096
"""Quotes are in hexadecimal digits, and quotation marks in the collateral are escaped."""

_Account = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
_Word = Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class SeatEvidence:
    """A quote, the collateral that Intel publishes for it, and the binding that it should carry.

    Nothing of it is true before an attestor checked it, see `examine`.
    """

    binding: Binding
    quote: bytes
    collateral: str

    @property
    def digest(self) -> Digest:
        """What a statement on chain names: keccak-256 of quote and collateral, ABI-encoded."""
        pair = (self.quote, self.collateral.encode("utf-8"))
        return Digest(keccak(encode(("bytes", "bytes"), pair)))

    def encode(self) -> bytes:
        """The JSON document that a miner serves at `SEAT_EVIDENCE_PATH`."""
        binding = self.binding
        return canonical_json(
            {
                "chain_id": binding.chain_id,
                "vault": binding.vault,
                "operator": binding.operator,
                "signer": binding.signer,
                "encryption_key": f"0x{binding.encryption_key.hex()}",
                "block_number": binding.block_number,
                "block_hash": f"0x{binding.block_hash.hex()}",
                "quote": f"0x{self.quote.hex()}",
                "collateral": self.collateral,
            }
        )


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    chain_id: Annotated[int, Field(gt=0, lt=2**64)]
    vault: _Account
    operator: _Account
    signer: _Account
    encryption_key: _Word
    block_number: Annotated[int, Field(ge=0, lt=2**64)]
    block_hash: _Word
    quote: Annotated[str, Field(pattern="^0x([0-9a-f]{2})+$", max_length=2 + 2 * MAX_QUOTE_BYTES)]
    collateral: Annotated[str, Field(max_length=MAX_COLLATERAL_BYTES)]


def decode_seat_evidence(data: bytes) -> SeatEvidence:
    """The evidence in a document.

    Raises:
        InvalidMessage: too long, no JSON, or a field missing or wrong.
    """
    if len(data) > MAX_SEAT_EVIDENCE_BYTES:
        most = f"{MAX_SEAT_EVIDENCE_BYTES:,}"
        raise InvalidMessage(f"the evidence of a seat has {len(data):,} bytes and may have {most}")
    try:
        found = _Document.model_validate_json(data)
    except ValidationError as error:
        place, problem = first_problem(error, "the document")
        raise InvalidMessage(f"not the evidence of a seat: {place}: {problem}") from None
    return SeatEvidence(_binding(found), bytes.fromhex(found.quote[2:]), found.collateral)


def _binding(found: _Document) -> Binding:
    vault, operator, signer = (
        Address(to_checksum_address(one)) for one in (found.vault, found.operator, found.signer)
    )
    key, block_hash = (bytes.fromhex(one[2:]) for one in (found.encryption_key, found.block_hash))
    return Binding(found.chain_id, vault, operator, signer, key, found.block_number, block_hash)
