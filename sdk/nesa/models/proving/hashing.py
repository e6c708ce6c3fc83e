"""The digest of a tensor in a hashed circuit: Poseidon over its elements and a blind behind them.

The sponge is the one that ezkl's circuits constrain (BN254, width 2, rate 1), as ezkl computes it.
Without the blind whoever can list the likely tensors finds the one behind a digest.
"""

from __future__ import annotations

from collections.abc import Sequence

from nesa.models.proving.field import MODULUS, element_of_hex, hex_of_element, to_field
from nesa.protocol.circuits import ShownEdge, blind_elements
from nesa.protocol.edges import EdgeType
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Digest


def tensor_hash(edge: EdgeType, data: bytes, blind: bytes) -> Digest:
    """What a proof shows of a tensor (canonical bytes) that is hidden by `blind` (32 bytes).

    Raises:
        InvalidTensor: wrong length, or a value outside the range.
    """
    return poseidon(hashed_values(edge, data, blind))


def shown_bytes(shown: ShownEdge, data: bytes, blind: bytes) -> bytes:
    """What the chain gets of a tensor (canonical bytes): itself, or its digest."""
    return tensor_hash(shown.edge, data, blind) if shown.is_hashed else data


def hashed_values(edge: EdgeType, data: bytes, blind: bytes) -> list[int]:
    """What a hashed circuit takes or gives for a tensor: its elements, then those of the blind.

    Raises:
        InvalidTensor: wrong length, or a value outside the range.
    """
    values = edge.decode(data).reshape(-1).tolist()
    return [*(int(value) for value in values), *blind_elements(blind)]


def poseidon(values: Sequence[int]) -> Digest:
    """Poseidon of integers as elements of the field, big-endian.

    In this process, unlike all else of ezkl: it takes milliseconds, and what makes it panic is
    text that is no element.
    """
    import ezkl

    (found,) = ezkl.poseidon_hash([hex_of_element(to_field(value)) for value in values])
    return Digest(element_of_hex(found).to_bytes(32, "big"))


def element_of(digest: bytes) -> int:
    """The instance that a digest of `poseidon` stands for.

    Raises:
        InvalidMessage: not 32 bytes, or not below the modulus.
    """
    element = int.from_bytes(digest, "big")
    if len(digest) != 32 or element >= MODULUS:
        raise InvalidMessage("this is not the digest of a hashed tensor")
    return element
