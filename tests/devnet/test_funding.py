"""An account is given NES and coin on a network that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from eth_account import Account

from nesa.devnet.funding import Gift, Holdings, fund
from nesa.protocol.errors import InvalidConfiguration
from nesa.protocol.ids import Address, Amount
from tests.standing_network import shared_network


async def test_an_account_holds_what_it_was_given_and_more_after_more() -> None:
    folder, account = shared_network().folder, Address(Account.create().address)
    assert await fund(folder, account, Gift(Amount(5), 7)) == Holdings(account, Amount(5), 7)
    assert await fund(folder, account, Gift(Amount(0), 1)) == Holdings(account, Amount(5), 8)


async def test_without_a_network_the_command_that_starts_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=re.escape(f"nesa devnet up --dir {tmp_path}")):
        await fund(tmp_path, Address("0x" + "11" * 20), Gift(Amount(1), 1))
