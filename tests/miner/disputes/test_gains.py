"""A fault is shown only where what the court pays is worth the gas."""

from __future__ import annotations

from typing import cast

import pytest

from nesa.protocol.ids import ONE_NES
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.gains import TooLittleToGain, is_worth_it, require_gain
from tests.miner.watchtower.test_accusing import LIMITS, Room

REWARD = LIMITS.seat_stake // 2


@pytest.mark.parametrize(("base_fee", "pays"), [(10**9, True), (10**12, False)])
async def test_gas_at_its_present_price_decides(base_fee: int, pays: bool) -> None:
    """500 NES at 0.0001 coins each are worth 5 * 10**16 wei, 5,000,000 gas 5 * 10**15 and more."""
    room = Room(base_fee=base_fee)
    if pays:
        await require_gain(cast(Courtroom, room), REWARD, 5_000_000, 10**14)
    else:
        with pytest.raises(TooLittleToGain, match="500 NES"):
            await require_gain(cast(Courtroom, room), REWARD, 5_000_000, 10**14)


async def test_the_protocols_own_price_of_gas_counts_without_another() -> None:
    # 1,000 gas cost 10,000 units, so half a seat's stake is worth 5 * 10**10 gas.
    await require_gain(cast(Courtroom, Room()), REWARD, 49_999_999_999, None)
    with pytest.raises(TooLittleToGain):
        await require_gain(cast(Courtroom, Room()), REWARD, 50_000_000_000, None)


def test_what_costs_more_than_it_brings_is_left_alone() -> None:
    # 500 NES at 10**12 wei each are worth 5 * 10**14 wei: 5,000,000 gas at 10**8 wei.
    assert is_worth_it(REWARD, 4_999_999, 10**8, 10**12, ONE_NES)
    assert not is_worth_it(REWARD, 5_000_000, 10**8, 10**12, ONE_NES)
