"""The vault with a version to take seats in."""

from types import SimpleNamespace

import boa
import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import ZERO_DIGEST, Address
from tests.deployment import (
    EPOCH_SECONDS,
    REQUEST_LIMITS,
    UNBONDING_SECONDS,
    deploy_lower,
    deployer,
    register_version,
)
from tests.reports import signer_address

SEAT_STAKE = REQUEST_LIMITS.seat_stake
NO_END = 2**32 - 1
ORACLE_SHARD = 8


@pytest.fixture(scope="module")
def actors():
    names = ["owner", "holder", "treasury", "reviewer_pool", "setter", "slasher"]
    names += ["operator", "outsider", "beneficiary", "creditor", "developer"]
    return SimpleNamespace(**{name: boa.env.generate_address(name) for name in names})


@pytest.fixture(scope="module")
def lower(actors):
    with boa.env.anchor():
        boa.env.timestamp = 1_800_000_000
        lower = deploy_lower(
            actors.owner, actors.holder, actors.treasury, actors.reviewer_pool, actors.setter
        )
        lower.vault.set_slasher(actors.slasher, sender=actors.setter)
        yield lower


@pytest.fixture(autouse=True)
def isolation(lower):
    with boa.env.anchor():
        yield


@pytest.fixture
def vault(lower):
    return lower.vault


@pytest.fixture
def fresh(lower, actors):
    """A vault that knows nobody above it yet."""
    return deployer("staking/StakeVault").deploy(
        lower.token,
        lower.registry,
        lower.parameters,
        EPOCH_SECONDS,
        UNBONDING_SECONDS,
        actors.setter,
    )


@pytest.fixture
def token(lower):
    return lower.token


@pytest.fixture
def operator(actors):
    return actors.operator


@pytest.fixture
def outsider(actors):
    return actors.outsider


@pytest.fixture
def slasher(actors):
    return actors.slasher


@pytest.fixture
def version_id(lower, actors):
    return register_version(lower.registry, actors.developer)


def new_key():
    """A key that nobody has yet."""
    return PrivateKey(keccak(text=f"key of {boa.env.generate_address()}"))


@pytest.fixture
def consent(vault):
    """A key's consent to sign for an operator."""

    def consent(key, operator):
        chain_id = int(boa.env.evm.patch.chain_id)
        return sign_consent(key, chain_id, Address(vault.address), Address(operator))

    return consent


@pytest.fixture
def register(vault, consent):
    """Makes an account an operator and returns its signer."""

    def register(account, key=None, encryption_key=b"\x11" * 32, endpoint="https://node"):
        key = key or new_key()
        signer = signer_address(key)
        given = (signer, consent(key, account), encryption_key, endpoint)
        vault.register_operator(*given, sender=account)
        return signer

    return register


@pytest.fixture
def stake(vault, token, actors):
    """Stakes for an operator."""

    def stake(account, amount=SEAT_STAKE):
        token.transfer(account, amount, sender=actors.holder)
        token.approve(vault, amount, sender=account)
        vault.deposit(amount, sender=account)

    return stake


@pytest.fixture
def slash(vault, actors, slasher):
    """Takes stake of an operator; returns what was taken, repaid and rewarded."""

    def slash(account, amount, owed=0):
        accounts = (actors.beneficiary, actors.creditor)
        return tuple(vault.slash(account, amount, *accounts, owed, sender=slasher))

    return slash


@pytest.fixture
def sit(vault, register, stake):
    """Seats an account, making it an operator with enough stake where it is none."""

    def sit(account, version_id=ZERO_DIGEST, shard=ORACLE_SHARD):
        if vault.operators(account).signer == "0x" + "00" * 20:
            register(account)
        stake(account)
        return vault.take_seat(version_id, shard, ZERO_DIGEST, ZERO_DIGEST, sender=account)

    return sit
