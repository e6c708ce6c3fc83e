# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Proof Router
@license AGPL-3.0-only
@notice The only caller of generated verifiers: turns typed bytes into a circuit's public
        instances, checks what circuits do not check, and asks the verifier in canonical calldata.
@dev Holds no state and knows no registry; whoever calls it names the verifier and the edges.
     Of a tensor that a circuit hashes it gets the digest only, which is the circuit's instance.
     A stock verifier reads its calldata in two ways that only agree when it is canonical, and a
     circuit takes any field element as an input; hence both are settled here.
@custom:invariant 1. A call with too little gas reverts and never says that a proof is false:
    tests/contracts/verification/test_verify.py::test_too_little_gas_reverts_at_every_limit
    2. Instances are those of `nesa.protocol`:
    tests/conformance/test_instances.py::test_instances_agree
    3. A digest stands for itself and for no other instance:
    tests/contracts/verification/test_hashed.py::test_a_digest_is_one_element_below_the_modulus
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

# What a verifier may use, and what must be there before it is called: one 64th stays behind, and
# writing down the instances and the call itself cost something.
VERIFIER_GAS: constant(uint256) = 2_000_000
GAS_FLOOR: constant(uint256) = VERIFIER_GAS * 64 // 63 + 100_000

# What stands for a tensor that a circuit hashes.
DIGEST_BYTES: constant(uint256) = 32

ALL_BITS: constant(uint256) = max_value(uint256)


@external
@view
def verify(
    verifier: address,
    input_edge: bytes32,
    output_edge: bytes32,
    input: Bytes[512],
    output: Bytes[512],
    proof: Bytes[4608],
) -> (bytes32, bytes32):
    """
    @notice Reverts unless `verifier` accepts `proof` for these values.
    @dev Trusts the caller for `verifier` and the edges; they come from the registry.
    @param verifier The generated verifier.
    @param input_edge Packed type of the input.
    @param output_edge Packed type of the output.
    @param input Canonical bytes of the input, or its digest where the edge is hashed.
    @param output The same of the output; bytes behind a digest are not looked at.
    @param proof The proof.
    @return Boundary digests of the input and of the output, for the caller to compare.
    """
    accepted: bool = self._accepts(verifier, input_edge, output_edge, input, output, proof)
    assert accepted, "router: proof refused"

    return self._digest(input_edge, input), self._digest(output_edge, output)


@external
@view
def try_verify(
    verifier: address,
    input_edge: bytes32,
    output_edge: bytes32,
    input: Bytes[512],
    output: Bytes[512],
    proof: Bytes[4608],
) -> bool:
    """
    @notice Whether `verifier` accepts `proof` for these values. Values that do not fit the edges
            and calls with too little gas revert all the same: neither says anything of the proof.
    @param verifier The generated verifier.
    @param input_edge Packed type of the input.
    @param output_edge Packed type of the output.
    @param input Canonical bytes of the input, or its digest where the edge is hashed.
    @param output The same of the output; bytes behind a digest are not looked at.
    @param proof The proof.
    @return True when the verifier accepts.
    """
    return self._accepts(verifier, input_edge, output_edge, input, output, proof)


@internal
@view
def _accepts(
    verifier: address,
    input_edge: bytes32,
    output_edge: bytes32,
    input: Bytes[512],
    output: Bytes[512],
    proof: Bytes[4608],
) -> bool:
    entering: edge_type.EdgeType = self._shown(input_edge)
    leaving: edge_type.EdgeType = self._shown(output_edge)
    count: uint256 = entering.elements + leaving.elements
    assert count <= MAX_INSTANCES, "router: too many values"
    # Proofs are whole words, so that the encoding below pads none.
    if len(proof) % 32 != 0:
        return False
    assert msg.gas >= GAS_FLOOR, "router: too little gas"
    size: uint256 = leaving.elements * leaving.itemsize
    # Behind the digest of an output there may be a ciphertext.
    fits: bool = len(output) == size or (leaving.itemsize == DIGEST_BYTES and len(output) > size)
    fits = fits and len(input) == entering.elements * entering.itemsize
    assert fits, "router: wrong length"

    success: bool = False
    answer: Bytes[64] = b""
    success, answer = raw_call(
        verifier,
        # The canonical encoding of (bytes, uint256[]); written out it costs half as much.
        concat(
            method_id("verifyProof(bytes,uint256[])"),
            convert(convert(64, uint256), bytes32),
            convert(96 + len(proof), bytes32),
            convert(len(proof), bytes32),
            proof,
            convert(count, bytes32),
            self._residues(entering, input),
            self._residues(leaving, output),
        ),
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
def _shown(edge: bytes32) -> edge_type.EdgeType:
    # A hashed tensor is one element of the field.
    shown: edge_type.EdgeType = edge_type.unpack(edge)
    if edge_type.is_hashed(edge):
        shown.itemsize = DIGEST_BYTES
        shown.elements = 1
    return shown


@internal
@pure
def _digest(edge: bytes32, data: Bytes[512]) -> bytes32:
    if edge_type.is_hashed(edge):
        return convert(slice(data, 0, 32), bytes32)
    return tensor_digest.boundary_digest(edge, data)


@internal
@pure
def _residues(edge: edge_type.EdgeType, data: Bytes[512]) -> Bytes[4096]:
    # Every value of a tensor as a field element of 32 bytes.
    if edge.itemsize == DIGEST_BYTES:
        # Another number of the same residue would be another digest of the same tensor.
        assert convert(slice(data, 0, 32), uint256) < FIELD, "router: no digest"
        return slice(data, 0, DIGEST_BYTES)
    padded: Bytes[544] = concat(data, empty(bytes32))  # so that every word is a whole one
    bits: uint256 = 8 * edge.itemsize
    per_word: uint256 = 256 // bits
    down: uint256 = 256 - bits

    # Values have `zero` added, so that none is negative.
    ones: uint256 = ALL_BITS // ((1 << bits) - 1)  # one in every lane
    zero: uint256 = 0
    if edge.signed:
        zero = 1 << (bits - 1)
    lift: uint256 = FIELD - zero
    least: uint256 = convert(edge.low + convert(zero, int256), uint256)
    greatest: uint256 = convert(edge.high + convert(zero, int256), uint256)
    # Ranges are checked in every second lane at once. A lane has twice its bits then, so that a
    # carry or a borrow shows in the bit above the value and reaches no other lane.
    every_second: uint256 = ALL_BITS // ((1 << (2 * bits)) - 1)
    carries: uint256 = every_second << bits
    mask: uint256 = carries - every_second
    lowest: uint256 = carries - least * every_second
    highest: uint256 = carries + greatest * every_second

    rows: uint256[8][16] = empty(uint256[8][16])  # by eight, because each access costs much
    row: uint256 = 0
    for i: uint256 in range(16):
        done: uint256 = i * per_word
        if done >= edge.elements:
            break
        word: uint256 = convert(extract32(padded, 32 * i), uint256)
        word = self._big_endian(word, bits) ^ (zero * ones)
        if edge.elements - done < per_word:
            # Lanes behind the last value get one that is in range; they are cut off below.
            unused: uint256 = ALL_BITS >> ((edge.elements - done) * bits)
            word = (word & ~unused) | ((least * ones) & unused)
        even: uint256 = word & mask
        odd: uint256 = (word >> bits) & mask
        within: uint256 = (even + lowest) & (highest - even) & (odd + lowest) & (highest - odd)
        assert within & carries == carries, "router: value out of range"
        for _: uint256 in range(per_word // 8, bound=4):
            if row * 8 >= edge.elements:
                break
            # A sum of two numbers below the field's order never overflows.
            rows[row] = [
                unsafe_add(word >> down, lift) % FIELD,
                unsafe_add((word << bits) >> down, lift) % FIELD,
                unsafe_add((word << unsafe_mul(2, bits)) >> down, lift) % FIELD,
                unsafe_add((word << unsafe_mul(3, bits)) >> down, lift) % FIELD,
                unsafe_add((word << unsafe_mul(4, bits)) >> down, lift) % FIELD,
                unsafe_add((word << unsafe_mul(5, bits)) >> down, lift) % FIELD,
                unsafe_add((word << unsafe_mul(6, bits)) >> down, lift) % FIELD,
                unsafe_add((word << unsafe_mul(7, bits)) >> down, lift) % FIELD,
            ]
            row += 1
            word = word << (8 * bits)

    return slice(abi_encode(rows), 0, 32 * edge.elements)


@internal
@pure
def _big_endian(word: uint256, bits: uint256) -> uint256:
    # Turns the bytes of every lane around.
    if bits == 8:
        return word
    bytes_: uint256 = ALL_BITS // 257  # 0x00ff00ff...
    pairs: uint256 = ((word & bytes_) << 8) | ((word >> 8) & bytes_)
    if bits == 16:
        return pairs
    halves: uint256 = ALL_BITS // 65537  # 0x0000ffff0000ffff...
    return ((pairs & halves) << 16) | ((pairs >> 16) & halves)
