"""Lists of the operators that may sit in a version, as Merkle trees.

The tree is the StandardMerkleTree of OpenZeppelin over leaves (bytes32 version id, address
operator), so that its libraries make and check the same proofs: leaves are hashed twice and sorted,
and the hashes of a pair are sorted before they are joined.
"""

from __future__ import annotations

from collections.abc import Iterable

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from nesa.protocol.errors import InvalidInput
from nesa.protocol.ids import Address, Digest, VersionId


class AllowList:
    """The operators that may sit in one version, at least one of them.

    Raises:
        InvalidInput: it is empty.
    """

    def __init__(self, version_id: VersionId, operators: Iterable[Address]) -> None:
        self.version_id = version_id
        leaves = sorted({_leaf(version_id, operator) for operator in operators}, reverse=True)
        if not leaves:
            raise InvalidInput("an allow list names at least one operator")
        # A complete binary tree in an array, the leaves at its end in descending order.
        self._nodes = [bytes(32)] * (len(leaves) - 1) + leaves
        for index in reversed(range(len(leaves) - 1)):
            self._nodes[index] = _above(self._nodes[2 * index + 1], self._nodes[2 * index + 2])

    @property
    def root(self) -> Digest:
        """What the developer tells the contract."""
        return Digest(self._nodes[0])

    def proof(self, operator: Address) -> tuple[bytes, ...]:
        """Siblings from an operator's leaf to the root.

        Raises:
            InvalidInput: it is not listed.
        """
        leaf = _leaf(self.version_id, operator)
        if leaf not in self._nodes:
            raise InvalidInput(f"{operator} is not on the list")
        index, siblings = self._nodes.index(leaf), []
        while index:
            siblings.append(self._nodes[index + 1 if index % 2 else index - 1])
            index = (index - 1) // 2
        return tuple(siblings)


def _leaf(version_id: VersionId, operator: Address) -> bytes:
    return keccak(keccak(encode(("bytes32", "address"), (version_id, operator))))


def _above(one: bytes, other: bytes) -> bytes:
    return keccak(b"".join(sorted((one, other))))
