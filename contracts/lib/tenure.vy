# pragma version ~=0.4.3
"""
@title Tenure
@license AGPL-3.0-only
@notice A seat in one word, so that a report pays for one read a member: signer (160 bits, lowest)
        | number of the operator (32) | from_epoch (32) | to_epoch (32). Zero is a vacant slot.
"""

NUMBER_SHIFT: constant(uint256) = 160
NUMBER_MASK: constant(uint256) = (2**32 - 1) << 160
FROM_SHIFT: constant(uint256) = 192
TO_SHIFT: constant(uint256) = 224
ADDRESS_MASK: constant(uint256) = 2**160 - 1
MASK_32: constant(uint256) = 2**32 - 1

MAX_OPERATORS: constant(uint256) = MASK_32

# `to_epoch` of a seat that nobody has left.
NO_END: constant(uint256) = MASK_32


@internal
@pure
def pack(member: address, number: uint256, begins: uint256, ends: uint256) -> uint256:
    """
    @notice The word of a seat.
    @param member The signer.
    @param number The operator's number, from 1.
    @param begins First epoch of the seat.
    @param ends First epoch without it; before 2**32, like `begins`.
    @return The word.
    """
    assert ends <= NO_END, "tenure: epoch too large"
    head: uint256 = convert(member, uint256) | (number << NUMBER_SHIFT)
    return head | (begins << FROM_SHIFT) | (ends << TO_SHIFT)


@internal
@pure
def until(word: uint256, ends: uint256) -> uint256:
    """
    @notice The same seat with another end.
    @param word The seat.
    @param ends First epoch without it.
    @return The word.
    """
    return self.pack(self.signer(word), self.operator_number(word), self.from_epoch(word), ends)


@internal
@pure
def signer(word: uint256) -> address:
    """
    @notice Who signs for a seat.
    @param word The seat.
    @return The signer, zero for a vacant slot.
    """
    return convert(word & ADDRESS_MASK, address)


@internal
@pure
def operator_number(word: uint256) -> uint256:
    """
    @notice Whom a seat belongs to.
    @param word The seat.
    @return The operator's number, zero for a vacant slot.
    """
    return (word >> NUMBER_SHIFT) & MASK_32


@internal
@pure
def payee(word: uint256) -> uint256:
    """
    @notice Under what the market books the earnings of a seat.
    @param word The seat.
    @return As `payee_of` its operator's number.
    """
    return word & NUMBER_MASK


@internal
@pure
def payee_of(number: uint256) -> uint256:
    """
    @notice Under what the market books the earnings of an operator: a word that is no address.
    @param number The operator's number.
    @return The number above the 160 bits of addresses.
    """
    return number << NUMBER_SHIFT


@internal
@pure
def from_epoch(word: uint256) -> uint256:
    """
    @notice When a seat begins.
    @param word The seat.
    @return Its first epoch.
    """
    return (word >> FROM_SHIFT) & MASK_32


@internal
@pure
def to_epoch(word: uint256) -> uint256:
    """
    @notice When a seat ends.
    @param word The seat.
    @return The first epoch without it.
    """
    return word >> TO_SHIFT


@internal
@pure
def is_active(word: uint256, epoch: uint256) -> bool:
    """
    @notice Whether queries of an epoch draw a seat.
    @param word The seat; a vacant slot is never active.
    @param epoch The epoch.
    @return True when they do.
    """
    return self.from_epoch(word) <= epoch and epoch < self.to_epoch(word)
