# pragma version ~=0.4.3
"""
@title Signature
@license AGPL-3.0-only
@notice EIP-712 messages of the protocol and who signed them; the same as
        `nesa.protocol.commitments`.
"""

EIP712_DOMAIN_TYPE: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME_HASH: constant(bytes32) = keccak256("Nesa")
VERSION_HASH: constant(bytes32) = keccak256("1")

LOW_BITS: constant(uint256) = 2**255 - 1
SECP256K1_HALF_ORDER: constant(bytes32) = (
    0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
)


@internal
@view
def typed_hash(verifying: address, message: bytes32) -> bytes32:
    """
    @notice The 32 bytes that are signed of a message.
    @param verifying The contract that the message is for.
    @param message The message's struct hash.
    @return The hash.
    """
    domain: bytes32 = keccak256(
        abi_encode(EIP712_DOMAIN_TYPE, NAME_HASH, VERSION_HASH, chain.id, verifying)
    )
    return keccak256(concat(x"1901", domain, message))


@internal
@pure
def signer_of(digest: bytes32, r: bytes32, vs: bytes32) -> address:
    """
    @notice Who signed a digest.
    @param digest The 32 bytes.
    @param r Signature after EIP-2098.
    @param vs Signature after EIP-2098.
    @return The signer, zero when the signature cannot be recovered.
    """
    word: uint256 = convert(vs, uint256)
    s: uint256 = word & LOW_BITS
    assert s <= convert(SECP256K1_HALF_ORDER, uint256), "signature: high s"
    return ecrecover(digest, (word >> 255) + 27, convert(r, uint256), s)
