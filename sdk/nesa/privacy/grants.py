"""View grants: the client of a sealed query lets somebody outside of its committees see it.

A grant is a small file. It holds the content key, wrapped to its holder's X25519 key, and the
client's signature: a member that leaks a key makes nobody a holder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_abi.abi import encode
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nesa.privacy.keys import public_bytes, public_key
from nesa.privacy.sealing import CONTENT_KEY_BYTES, SUITE, seal_to
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import PROTOCOL_VERSION, Address, Digest, QueryId
from nesa.protocol.signatures import recover_signer, sign_digest

GRANT_DOMAIN: Final = keccak(text="nesa.view-grant.v1")
MAX_GRANT_BYTES: Final = 4096

_Number = Annotated[int, Field(gt=0, lt=1 << 64)]
_Word = Annotated[str, Field(pattern="^0x[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class Granted:
    """What a grant is for: one query of one market."""

    chain_id: int
    market: Address
    query_id: QueryId

    def info(self, holder: bytes) -> bytes:
        """What the wrapping for the holder of a 32-byte public key is bound to."""
        types = ["bytes32", "uint256", "uint256", "address", "uint256", "bytes32"]
        head = [GRANT_DOMAIN, PROTOCOL_VERSION, self.chain_id, self.market]
        return encode(types, [*head, self.query_id, holder])


@dataclass(frozen=True, slots=True)
class ViewGrant:
    """A content key for one holder; `r` and `vs` are the client's signature."""

    granted: Granted
    holder: bytes
    wrapped: bytes
    r: bytes
    vs: bytes

    @property
    def digest(self) -> Digest:
        """What the client signs."""
        return _signed(self.granted, self.holder, self.wrapped)


def grant_view(
    content_key: bytes, granted: Granted, holder: bytes, client: PrivateKey
) -> ViewGrant:
    """Let the holder of the X25519 key with these 32 public bytes see one query of `client`.

    Raises:
        InvalidInput: no content key, or nothing can be encrypted to the holder's key.
    """
    if len(content_key) != CONTENT_KEY_BYTES:
        raise InvalidInput(f"a content key has {CONTENT_KEY_BYTES} bytes")
    wrapped = _wrapped(holder, content_key, granted.info(holder))
    return ViewGrant(
        granted, holder, wrapped, *sign_digest(client, _signed(granted, holder, wrapped))
    )


def check_holder(holder: bytes) -> None:
    """Refuse a view key that no grant can be made for.

    Raises:
        InvalidInput: not 32 bytes, or nothing can be encrypted to it.
    """
    _wrapped(holder, b"", b"")


def open_grant(grant: ViewGrant, key: X25519PrivateKey, client: Address) -> bytes:
    """The content key of a grant that `client` gave to the holder of `key`.

    Raises:
        InvalidMessage: for somebody else, from somebody else, or changed.
    """
    if grant.holder != public_bytes(key):
        raise InvalidMessage("the grant is for the holder of another view key")
    if recover_signer(grant.digest, grant.r, grant.vs) != client:
        raise InvalidMessage("the grant was not signed by the client that asked the query")
    try:
        content_key = SUITE.decrypt(grant.wrapped, key, info=grant.granted.info(grant.holder))
    except (InvalidTag, ValueError) as error:
        raise InvalidMessage("the grant does not open with this view key") from error
    if len(content_key) != CONTENT_KEY_BYTES:
        raise InvalidMessage(f"a content key has {CONTENT_KEY_BYTES} bytes")
    return content_key


class _Document(BaseModel):
    """A grant as a file."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    kind: Literal["nesa-view-grant"] = "nesa-view-grant"
    chain_id: _Number
    market: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    query_id: _Number
    holder: _Word
    wrapped: Annotated[str, Field(pattern="^0x([0-9a-f]{2}){1,256}$")]
    r: _Word
    vs: _Word


def encode_grant(grant: ViewGrant) -> str:
    """A grant as the text of a file."""
    document = _Document(
        chain_id=grant.granted.chain_id,
        market=grant.granted.market,
        query_id=grant.granted.query_id,
        holder=_hex(grant.holder),
        wrapped=_hex(grant.wrapped),
        r=_hex(grant.r),
        vs=_hex(grant.vs),
    )
    return document.model_dump_json(indent=2) + "\n"


def decode_grant(text: str | bytes) -> ViewGrant:
    """The grant that `encode_grant` wrote.

    Raises:
        InvalidMessage: it is none.
    """
    if len(text) > MAX_GRANT_BYTES:
        raise InvalidMessage(f"a view grant has at most {MAX_GRANT_BYTES} bytes")
    try:
        found = _Document.model_validate_json(text)
    except ValidationError as error:
        raise InvalidMessage("this is no view grant of a sealed query") from error
    market = Address(to_checksum_address(found.market))
    words = (bytes.fromhex(word[2:]) for word in (found.holder, found.wrapped, found.r, found.vs))
    return ViewGrant(Granted(found.chain_id, market, QueryId(found.query_id)), *words)


def _wrapped(holder: bytes, data: bytes, info: bytes) -> bytes:
    try:
        return seal_to(public_key(holder), data, info)
    except InvalidMessage as error:
        raise InvalidInput(f"the view key is none: {error}") from error


def _signed(granted: Granted, holder: bytes, wrapped: bytes) -> Digest:
    return Digest(keccak(encode(["bytes", "bytes32"], [granted.info(holder), keccak(wrapped)])))


def _hex(data: bytes) -> str:
    return f"0x{data.hex()}"
