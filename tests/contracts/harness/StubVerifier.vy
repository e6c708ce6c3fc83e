# pragma version ~=0.4.3
"""
@title Stub Verifier
@license AGPL-3.0-only
@notice Stands in for generated verifiers. A true proof is keccak-256 of the encoded instances,
        for those that look at it.
"""

flag Behaviour:
    CHECKS              # accepts true proofs, reverts for others
    SAYS_NO             # accepts true proofs, returns false for others
    ACCEPTS_ALL
    IGNORES_INSTANCES   # accepts every proof of 32 bytes that ends in a zero byte
    IGNORES_PROOF       # accepts every proof of instances whose last but one is 7
    BURNS_GAS
    ANSWERS_LONG        # returns two words, the first of them one
    ANSWERS_TWO         # returns one word, but two
    NEEDS_ALL_GAS       # accepts when it gets nearly all that a verifier may use

BEHAVIOUR: immutable(Behaviour)


@deploy
def __init__(behaviour: Behaviour):
    BEHAVIOUR = behaviour


@external
@view
@raw_return
def verifyProof(proof: Bytes[4608], instances: DynArray[uint256, 128]) -> Bytes[64]:
    if BEHAVIOUR == Behaviour.ACCEPTS_ALL:
        return abi_encode(True)
    if BEHAVIOUR == Behaviour.NEEDS_ALL_GAS:
        return abi_encode(msg.gas > 1_970_000)
    if BEHAVIOUR == Behaviour.ANSWERS_LONG:
        return abi_encode(True, True)
    if BEHAVIOUR == Behaviour.ANSWERS_TWO:
        return abi_encode(convert(2, uint256))
    if BEHAVIOUR == Behaviour.BURNS_GAS:
        for i: uint256 in range(2**64):
            pass
    if BEHAVIOUR == Behaviour.IGNORES_INSTANCES:
        return abi_encode(len(proof) == 32 and convert(slice(proof, 31, 1), uint256) == 0)
    if BEHAVIOUR == Behaviour.IGNORES_PROOF:
        return abi_encode(instances[len(instances) - 2] == 7)

    is_true: bool = keccak256(proof) == keccak256(concat(keccak256(abi_encode(instances)), b""))
    assert is_true or BEHAVIOUR == Behaviour.SAYS_NO
    return abi_encode(is_true)
