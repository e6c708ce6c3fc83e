import boa

from nesa.protocol.ids import NES_DECIMALS, ONE_NES
from tests.deployment import GENESIS_SUPPLY, deployer


def test_the_holder_has_the_genesis_supply(token, owner, holder):
    assert (token.name(), token.symbol()) == ("Nesa", "NES")
    assert token.decimals() == NES_DECIMALS
    assert token.totalSupply() == token.balanceOf(holder) == GENESIS_SUPPLY
    assert token.owner() == owner


def test_the_cap_is_a_billion_and_fits_64_bits(token):
    assert token.cap() == 10**9 * ONE_NES
    assert token.cap() < 2**64


def test_more_than_the_cap_reverts(holder):
    with boa.reverts("token: over the cap"):
        deployer("token/NesToken").deploy(holder, 10**18 + 1)


def test_nobody_can_mint_through_the_standard_part(token):
    names = {entry["name"] for entry in token.abi if entry["type"] == "function"}
    assert not names & {"is_minter"}
    assert token.minter() == "0x" + "00" * 20
