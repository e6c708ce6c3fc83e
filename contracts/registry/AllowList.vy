# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Allow List
@license AGPL-3.0-only
@notice Admits the operators that a version's developer lists, by a Merkle root: who may hold the
        shards of a private model.
@custom:invariant 1. Nobody is admitted who is not on the list of the moment:
    tests/contracts/registry/test_allow_list.py::test_another_list_admits_nobody_of_the_former
@custom:kill The developer sets a root of zero; seats end by `StakeVault.evict`.
"""
from ..interfaces import IAllowList
from ..interfaces import IModelRegistry
from ..interfaces import ISeatAdmission

implements: IAllowList
implements: ISeatAdmission

from snekmate.utils import merkle_proof_verification

REGISTRY: immutable(IModelRegistry)

root: public(HashMap[bytes32, bytes32])

# Whether an operator was shown to be on the list of a version with a root, which may be one to come.
is_shown: public(HashMap[bytes32, HashMap[bytes32, HashMap[address, bool]]])


@deploy
def __init__(registry: address):
    """
    @notice Binds the lists to a registry for good.
    @param registry Knows the developers of versions.
    """
    REGISTRY = IModelRegistry(registry)


@external
def set_root(version_id: bytes32, root: bytes32):
    """
    @notice Replaces the list of a version; see `IAllowList`.
    """
    developer: address = staticcall REGISTRY.developer_of(version_id)
    assert msg.sender == developer, "admission: not the developer"

    self.root[version_id] = root

    log IAllowList.RootSet(version_id=version_id, root=root)


@external
def show(
    version_id: bytes32, root: bytes32, operator: address, proof: DynArray[bytes32, 255]
):
    """
    @notice Shows that an operator is on a list; see `IAllowList`.
    """
    # Hashed twice, so that no inner node is taken for a leaf.
    leaf: bytes32 = keccak256(abi_encode(keccak256(abi_encode(version_id, operator))))
    listed: bool = merkle_proof_verification._verify(proof, root, leaf)
    assert listed, "admission: not listed"

    self.is_shown[version_id][root][operator] = True

    log IAllowList.OperatorShown(version_id=version_id, operator=operator, root=root)


@external
@view
def admits(version_id: bytes32, operator: address, signer: address) -> bool:
    """
    @notice Whether an operator was shown to be on the list of the moment; see `IAllowList`.
    """
    root: bytes32 = self.root[version_id]
    return root != empty(bytes32) and self.is_shown[version_id][root][operator]
