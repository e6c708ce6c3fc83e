# pragma version ~=0.4.3
"""
@title Seat Book
@license AGPL-3.0-only
@notice Stands in for the vault where a test needs seats of any kind: those in a bitmap are active
        in one epoch, the others ended with the epoch before or begin with the next. The operator's
        number and the signer of a slot are the slot's number plus one.
"""
from contracts.lib import tenure

active: HashMap[bytes32, HashMap[uint256, uint256]]
epoch: uint256


@external
def seat(version_id: bytes32, shard: uint256, epoch: uint256, active: uint256):
    self.epoch = epoch
    self.active[version_id][shard] = active


@external
@view
def tenures(
    version_id: bytes32, shard: uint256, slots: DynArray[uint256, 16]
) -> DynArray[uint256, 16]:
    words: DynArray[uint256, 16] = []
    for slot: uint256 in slots:
        begins: uint256 = self.epoch
        ends: uint256 = self.epoch + 1
        if (self.active[version_id][shard] >> slot) & 1 == 0:
            if slot % 2 == 0:
                begins += 1
                ends += 1
            else:
                ends -= 1
        words.append(tenure.pack(convert(slot + 1, address), slot + 1, begins, ends))
    return words


@external
@view
def operator_at(number: uint256) -> address:
    return convert(number, address)


@external
@view
def operator_of(signer: address) -> address:
    return empty(address)
