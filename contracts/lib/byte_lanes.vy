# pragma version ~=0.4.3
"""
@title Byte Lanes
@license AGPL-3.0-only
@notice Dot products of bytes, ten at a time in one multiplication of words.
@dev Bytes are made unsigned and spread over ten lanes of 24 bits, one operand in reverse order.
     Coefficient 9 of the product is then the sum of ten products. It and the ones below it stay
     under 10 * 255 * 255 < 2**24, so none flows into the next.
"""
from ..interfaces import IJudge
from . import opened_leaves

LANES: constant(uint256) = 10
CHUNK: constant(uint256) = 30  # bytes that three words of lanes hold
MAX_CHUNKS: constant(uint256) = 9

BYTE: constant(uint256) = 255
ONES: constant(uint256) = (2**240 - 1) // (2**24 - 1)  # 1 in every lane
LOW_BYTES: constant(uint256) = ONES * 255
HIGH_BITS: constant(uint256) = ONES << 23
COEFFICIENT: constant(uint256) = 24 * (LANES - 1)
LANE: constant(uint256) = 2**24 - 1

EVERY_BYTE: constant(uint256) = max_value(uint256) // 255
MIDDLES: constant(uint256) = EVERY_BYTE * 128

SWAP_8: constant(uint256) = max_value(uint256) // (2**8 + 1)
SWAP_16: constant(uint256) = max_value(uint256) // (2**16 + 1)
SWAP_32: constant(uint256) = max_value(uint256) // (2**32 + 1)
SWAP_64: constant(uint256) = max_value(uint256) // (2**64 + 1)


# The operands `x` as a judge reads them: signed or not, in an inclusive range.
struct ByteKind:
    signed: bool
    low: int256
    high: int256


@internal
@pure
def dot(
    x: IJudge.Opening, x_start: uint256, w: IJudge.Opening, w_start: uint256,
    count: uint256, kind: ByteKind
) -> int256:
    """
    @notice Sum of the products of two stretches of bytes, the second one signed.
    @param x Adjacent leaves that hold the first stretch and no others.
    @param x_start Index of its first byte in the tree.
    @param w Adjacent leaves that hold the second stretch and no others.
    @param w_start Index of its first byte in the tree.
    @param count Bytes of a stretch, 1 to 256.
    @param kind Type of the first.
    @return The sum, `opened_leaves.NO_INTEGER` when one of the first is out of range.
    """
    self._expect_adjacent(x.leaves, x_start, count)
    self._expect_adjacent(w.leaves, w_start, count)
    middle: uint256 = 0
    flip: uint256 = 0
    if kind.signed:
        middle = 128
        flip = MIDDLES
    least: uint256 = convert(kind.low + convert(middle, int256), uint256)
    above: uint256 = ONES * (2**23 - 1 - convert(kind.high + convert(middle, int256), uint256))
    below: uint256 = ONES * (2**23 - least)

    products: uint256 = 0
    x_sum: uint256 = 0
    w_sum: uint256 = 0
    done: uint256 = 0
    for _: uint256 in range(MAX_CHUNKS):
        if done == count:
            break
        length: uint256 = min(CHUNK, count - done)
        kept: uint256 = ~(max_value(uint256) >> (8 * length))
        x_bytes: uint256 = self._word(x.words, (x_start & BYTE) + done) ^ flip
        w_bytes: uint256 = (self._word(w.words, (w_start & BYTE) + done) ^ MIDDLES) & kept
        # Places behind the stretch are in range, and then count as 0.
        filled: uint256 = ((x_bytes & kept) | ((EVERY_BYTE * least) & ~kept)) >> 16
        x_bytes = (x_bytes & kept) >> 16
        w_bytes = self._reversed(w_bytes)
        for k: uint256 in range(3):
            checked: uint256 = (filled >> (8 * k)) & LOW_BYTES
            is_larger: bool = (unsafe_add(checked, above) & HIGH_BITS) != 0
            is_smaller: bool = (unsafe_add(checked, below) & HIGH_BITS) != HIGH_BITS
            if is_larger or is_smaller:
                return opened_leaves.NO_INTEGER
            x_lanes: uint256 = (x_bytes >> (8 * k)) & LOW_BYTES
            w_lanes: uint256 = (w_bytes >> (8 * (2 - k))) & LOW_BYTES
            products += (unsafe_mul(x_lanes, w_lanes) >> COEFFICIENT) & LANE
            x_sum += (unsafe_mul(x_lanes, ONES) >> COEFFICIENT) & LANE
            w_sum += (unsafe_mul(w_lanes, ONES) >> COEFFICIENT) & LANE
        done += length
    shifted: uint256 = 128 * x_sum + middle * w_sum
    return convert(products + 128 * middle * count, int256) - convert(shifted, int256)


@internal
@pure
def _expect_adjacent(leaves: DynArray[uint256, 16], start: uint256, count: uint256):
    first: uint256 = start >> 8
    last: uint256 = (start + count - 1) >> 8
    assert len(leaves) == last - first + 1, "lanes: too few or many leaves"
    # They ascend, so these ends leave room for no others.
    assert leaves[0] == first and leaves[last - first] == last, "lanes: other leaves"


@internal
@pure
def _word(words: DynArray[uint256, 128], start: uint256) -> uint256:
    # 32 bytes from any byte on, zeros behind the last.
    index: uint256 = start >> 5
    turn: uint256 = (start & 31) << 3
    word: uint256 = words[index] << turn
    if turn != 0 and index + 1 < len(words):
        word |= words[index + 1] >> (256 - turn)
    return word


@internal
@pure
def _reversed(word: uint256) -> uint256:
    # The 32 bytes in the opposite order.
    turned: uint256 = ((word & SWAP_8) << 8) | ((word >> 8) & SWAP_8)
    turned = ((turned & SWAP_16) << 16) | ((turned >> 16) & SWAP_16)
    turned = ((turned & SWAP_32) << 32) | ((turned >> 32) & SWAP_32)
    turned = ((turned & SWAP_64) << 64) | ((turned >> 64) & SWAP_64)
    return (turned << 128) | (turned >> 128)
