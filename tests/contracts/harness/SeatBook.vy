# pragma version ~=0.4.3
"""
@title Seat Book
@license AGPL-3.0-only
@notice Stands in for the vault where a test needs seats of any kind: those in a bitmap are active
        in one epoch, the others ended with the epoch before or begin with the next. The operator
        of a slot is the slot's number plus one.
"""
from contracts.interfaces import IStakeVault

active: HashMap[bytes32, HashMap[uint256, uint256]]
epoch: uint256


@external
def seat(version_id: bytes32, shard: uint256, epoch: uint256, active: uint256):
    self.epoch = epoch
    self.active[version_id][shard] = active


@external
@view
def seats(
    version_id: bytes32, shard: uint256, slots: DynArray[uint256, 16]
) -> DynArray[IStakeVault.Seat, 16]:
    seated: DynArray[IStakeVault.Seat, 16] = []
    for slot: uint256 in slots:
        seat: IStakeVault.Seat = IStakeVault.Seat(
            operator=convert(slot + 1, address),
            signer=convert(slot + 1, address),
            from_epoch=self.epoch,
            to_epoch=self.epoch + 1,
        )
        if (self.active[version_id][shard] >> slot) & 1 == 0:
            if slot % 2 == 0:
                seat.from_epoch += 1
                seat.to_epoch += 1
            else:
                seat.to_epoch -= 1
        seated.append(seat)
    return seated


@external
@view
def operator_of(signer: address) -> address:
    return empty(address)
