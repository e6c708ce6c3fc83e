"""How a version's circuits show the tensors that their proofs are about.

A public circuit has every element of its input and its output among its instances. A hashed one
has a single instance in place of a tensor: Poseidon over the tensor's elements and a blind behind
them, so that the chain checks a proof without seeing what it is about. Which it is is part of the
circuit digest, and so of the version.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.edges import EDGE_FORMAT, EdgeType
from nesa.protocol.errors import InvalidTensor
from nesa.protocol.ids import Digest

HASHED_CIRCUIT_DOMAIN: Final = keccak(text="nesa.hashed-circuit.v1")
HASHED_FORMAT: Final = 2
"""First byte of the word of an edge whose tensor a proof shows hashed; else `EDGE_FORMAT`."""

BLIND_BYTES: Final = 32
BLIND_ELEMENTS: Final = 16
"""Elements that a circuit takes a blind as, 16 bits each: all of them pass its range checks."""
BLIND_HIGH: Final = 2**16 - 1


class CircuitKind(StrEnum):
    """What the circuits of a version show, the answer of the last shard apart in the second."""

    PUBLIC = "public"
    HASHED = "hashed"
    HASHED_ANSWER = "hashed-answer"

    def ends(self, shard: int, shards: int) -> Ends:
        """What the circuit of one of `shards` shards hashes."""
        if self is CircuitKind.PUBLIC:
            return PUBLIC_ENDS
        is_answer = shard == shards - 1
        hides = not is_answer or self is CircuitKind.HASHED_ANSWER
        return Ends(hashed_input=True, hashed_output=hides)


@dataclass(frozen=True, slots=True)
class Ends:
    """Which of a circuit's two tensors are hashed."""

    hashed_input: bool
    hashed_output: bool

    @property
    def is_public(self) -> bool:
        """Whether neither is."""
        return not (self.hashed_input or self.hashed_output)

    @property
    def mask(self) -> int:
        """As contracts have it: bit 0 for the input, bit 1 for the output."""
        return self.hashed_input | self.hashed_output << 1


PUBLIC_ENDS: Final = Ends(hashed_input=False, hashed_output=False)


def circuit_digest(verifying_key: bytes, ends: Ends) -> Digest:
    """What a version holds of a circuit: its verifying key, and how its instances come about."""
    key_digest = keccak(verifying_key)
    if ends.is_public:
        return Digest(key_digest)
    shown = [HASHED_CIRCUIT_DOMAIN, ends.mask, key_digest]
    return Digest(keccak(encode(["bytes32", "uint256", "bytes32"], shown)))


@dataclass(frozen=True, slots=True)
class ShownEdge:
    """A boundary tensor as a proof shows it: its elements, or one digest for all of them."""

    edge: EdgeType
    is_hashed: bool = False

    @property
    def instances(self) -> int:
        """How many public values the tensor has in a proof."""
        return 1 if self.is_hashed else self.edge.elements

    @property
    def elements(self) -> int:
        """How many values the circuit takes or gives for it."""
        return self.edge.elements + (BLIND_ELEMENTS if self.is_hashed else 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what the circuit takes or gives for it."""
        return (1, self.elements) if self.is_hashed else self.edge.shape

    def pack(self) -> bytes:
        """The word by which the proof router knows it."""
        word = self.edge.pack()
        return bytes([HASHED_FORMAT]) + word[1:] if self.is_hashed else word

    @classmethod
    def unpack(cls, word: bytes) -> ShownEdge:
        """What `word` (32 bytes) says.

        Raises:
            InvalidTensor: not a canonical word.
        """
        is_hashed = word[:1] == bytes([HASHED_FORMAT])
        plain = bytes([EDGE_FORMAT]) + word[1:] if is_hashed else word
        return cls(EdgeType.unpack(plain), is_hashed)


def blind_elements(blind: bytes) -> tuple[int, ...]:
    """A blind of 32 bytes as the elements behind a tensor: 16 little-endian words of 16 bits.

    Raises:
        InvalidTensor: another length.
    """
    if len(blind) != BLIND_BYTES:
        raise InvalidTensor(f"a blind has {BLIND_BYTES} bytes, not {len(blind)}")
    return tuple(int.from_bytes(blind[i : i + 2], "little") for i in range(0, BLIND_BYTES, 2))
