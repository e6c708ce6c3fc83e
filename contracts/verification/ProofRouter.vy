# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Proof Router
@license AGPL-3.0-only
@notice The only caller of generated verifiers: turns typed bytes into a circuit's public
        instances, checks what circuits do not check, and asks the verifier in canonical calldata.
@dev Holds no state and knows no registry; whoever calls it names the verifier and the edges.
     A stock verifier reads its calldata in two ways that only agree when it is canonical, and a
     circuit takes any field element as an input; hence both are settled here.
@custom:invariant 1. A call with too little gas reverts and never says that a proof is false:
    tests/contracts/verification/test_verify.py::test_too_little_gas_reverts_at_every_limit
    2. Instances are those of `nesa.protocol`:
    tests/conformance/test_instances.py::test_instances_agree
@custom:kill No switch. A version whose verifier is found wrong is retired in the registry.
"""
from ..interfaces import IProofRouter

implements: IProofRouter

from ..lib import edge_type
from ..lib import tensor_digest

# Order of the scalar field of BN254: instances are residues, -1 is `FIELD - 1`.
FIELD: constant(uint256) = (
    21888242871839275222246405745257275088548364400416034343698204186575808495617
)

MAX_INSTANCES: constant(uint256) = 128

# What a verifier may use, and what must be there when it is called: one 64th stays behind, and
# the call itself costs something.
VERIFIER_GAS: constant(uint256) = 2_000_000
GAS_FLOOR: constant(uint256) = VERIFIER_GAS * 64 // 63 + 20_000

# Every second byte and every second pair of bytes of a word, from the right:
# 0x00ff00ff... and 0x0000ffff0000ffff...
EVEN_BYTES: constant(uint256) = max_value(uint256) // (2**8 + 1)
EVEN_PAIRS: constant(uint256) = max_value(uint256) // (2**16 + 1)


@external
@view
def verify(
    verifier: address,
    input_edge: bytes32,
    output_edge: bytes32,
    input: Bytes[512],
    output: Bytes[512],
    proof: Bytes[8192],
) -> (bytes32, bytes32):
    """
    @notice Reverts unless `verifier` accepts `proof` for these values.
    @dev Trusts the caller for `verifier` and the edges; they come from the registry.
    @param verifier The generated verifier.
    @param input_edge Packed type of the input.
    @param output_edge Packed type of the output.
    @param input Canonical bytes of the input.
    @param output Canonical bytes of the output.
    @param proof The proof.
    @return Boundary digests of the input and of the output, for the caller to compare.
    """
    instances: DynArray[uint256, MAX_INSTANCES] = self._instances(
        input_edge, output_edge, input, output
    )
    assert self._accepts(verifier, proof, instances), "router: proof refused"

    return (
        tensor_digest.boundary_digest(input_edge, input),
        tensor_digest.boundary_digest(output_edge, output),
    )


@external
@view
def try_verify(
    verifier: address,
    input_edge: bytes32,
    output_edge: bytes32,
    input: Bytes[512],
    output: Bytes[512],
    proof: Bytes[8192],
) -> bool:
    """
    @notice Whether `verifier` accepts `proof` for these values. Values that do not fit the edges
            and calls with too little gas revert all the same: neither says anything of the proof.
    @param verifier The generated verifier.
    @param input_edge Packed type of the input.
    @param output_edge Packed type of the output.
    @param input Canonical bytes of the input.
    @param output Canonical bytes of the output.
    @param proof The proof.
    @return True when the verifier accepts.
    """
    instances: DynArray[uint256, MAX_INSTANCES] = self._instances(
        input_edge, output_edge, input, output
    )
    return self._accepts(verifier, proof, instances)


@internal
@view
def _accepts(
    verifier: address, proof: Bytes[8192], instances: DynArray[uint256, MAX_INSTANCES]
) -> bool:
    call: Bytes[12420] = abi_encode(
        proof, instances, method_id=method_id("verifyProof(bytes,uint256[])")
    )
    assert msg.gas >= GAS_FLOOR, "router: too little gas"

    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        verifier,
        call,
        max_outsize=64,
        gas=VERIFIER_GAS,
        is_static_call=True,
        revert_on_failure=False,
    )
    if not success or len(answer) != 32:
        return False
    return convert(slice(answer, 0, 32), uint256) == 1


@internal
@pure
def _instances(
    input_edge: bytes32, output_edge: bytes32, input: Bytes[512], output: Bytes[512]
) -> DynArray[uint256, MAX_INSTANCES]:
    inputs: edge_type.EdgeType = edge_type.unpack(input_edge)
    outputs: edge_type.EdgeType = edge_type.unpack(output_edge)
    assert len(input) == inputs.elements * inputs.itemsize, "router: input length"
    assert len(output) == outputs.elements * outputs.itemsize, "router: output length"
    assert inputs.elements + outputs.elements <= MAX_INSTANCES, "router: too many values"

    instances: DynArray[uint256, MAX_INSTANCES] = []
    edge: edge_type.EdgeType = inputs
    data: Bytes[544] = concat(input, empty(bytes32))  # so that every word is a whole one
    for side: uint256 in range(2):
        if side == 1:
            edge = outputs
            data = concat(output, empty(bytes32))
        bits: uint256 = 8 * edge.itemsize
        lanes: uint256 = 32 // edge.itemsize

        # Values are compared with `zero` added, where they are not negative.
        zero: uint256 = 0
        if edge.signed:
            zero = 1 << (bits - 1)
        least: uint256 = convert(edge.low + convert(zero, int256), uint256)
        span: uint256 = convert(edge.high - edge.low, uint256)

        word: uint256 = 0
        for i: uint256 in range(edge.elements, bound=MAX_INSTANCES):
            if i % lanes == 0:
                word = self._big_endian(
                    convert(extract32(data, i * edge.itemsize), uint256), edge.itemsize
                )
            shifted: uint256 = (word >> (256 - bits)) ^ zero
            word = word << bits
            # Unsafe: below `least` it wraps around to more than any span.
            assert unsafe_sub(shifted, least) <= span, "router: value out of range"
            if shifted >= zero:
                instances.append(unsafe_sub(shifted, zero))
            else:
                instances.append(unsafe_sub(FIELD, unsafe_sub(zero, shifted)))
    return instances


@internal
@pure
def _big_endian(word: uint256, itemsize: uint256) -> uint256:
    # Turns the bytes of every item of the word around.
    if itemsize == 1:
        return word
    pairs: uint256 = ((word & EVEN_BYTES) << 8) | ((word >> 8) & EVEN_BYTES)
    if itemsize == 2:
        return pairs
    return ((pairs & EVEN_PAIRS) << 16) | ((pairs >> 16) & EVEN_PAIRS)
