"""A fault is shown only where what the court pays is worth the gas."""

from __future__ import annotations

from typing import cast

import pytest

from nesa.protocol.ids import ONE_NES
from nesa.protocol.slashing import credited
from nesa_miner.disputes.courtroom import Courtroom
from nesa_miner.disputes.gains import TooLittleToGain, is_worth_it, require_gain
from tests.miner.watchtower.test_accusing import LIMITS, Room

REWARD = credited(LIMITS.seat_stake)


@pytest.mark.parametrize(("base_fee", "pays"), [(10**9, True), (10**12, False)])
async def test_gas_at_its_present_price_decides(base_fee: int, pays: bool) -> None:
    """250 NES at 0.0001 coins each are worth 25 * 10**15 wei, 5,000,000 gas 5 * 10**15 and more."""
    room = Room(base_fee=base_fee)
    if pays:
        await require_gain(cast(Courtroom, room), REWARD, 5_000_000, 10**14)
    else:
        with pytest.raises(TooLittleToGain, match="250 NES"):
            await require_gain(cast(Courtroom, room), REWARD, 5_000_000, 10**14)


async def test_the_protocols_own_price_of_gas_counts_without_another() -> None:
    # 1,000 gas cost 10,000 units, so a quarter of a seat's stake is worth 25 * 10**9 gas.
    await require_gain(cast(Courtroom, Room()), REWARD, 24_999_999_999, None)
    with pytest.raises(TooLittleToGain):
        await require_gain(cast(Courtroom, Room()), REWARD, 25_000_000_000, None)


def test_what_costs_more_than_it_brings_is_left_alone() -> None:
    # 250 NES at 10**12 wei each are worth 25 * 10**13 wei: 2,500,000 gas at 10**8 wei.
    assert is_worth_it(REWARD, 2_499_999, 10**8, 10**12, ONE_NES)
    assert not is_worth_it(REWARD, 2_500_000, 10**8, 10**12, ONE_NES)
