"""What an owner needs to defend in the name of its signers is found, also after they rotated."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.chain.connection import Connection
from nesa.chain.contracts import Contracts
from nesa.chain.sender import Sender
from nesa.protocol.consent import sign_consent
from nesa.protocol.ids import Address
from nesa_miner.at_rest import AtRest
from nesa_miner.defending import kept_work
from nesa_miner.journal import Journal, journal_identity
from nesa_miner.registrations import signers_of
from tests.oracle.network import Network, operator_key


async def test_every_signer_of_an_operator_is_found(
    network: Network, connection: Connection
) -> None:
    owner = Account.from_key(keccak(text="owner of a0"))
    former = Address(operator_key("a0").address)
    assert await signers_of(connection, owner.address) == {former}
    later = PrivateKey(keccak(text="the next signer"))
    vault, signer = Contracts(connection).vault, Address(later.public_key.to_checksum_address())
    consent = sign_consent(later, 31_337, vault.address, owner.address)
    await Sender(connection, owner).send(vault.rotate_signer(signer, consent))
    assert await signers_of(connection, owner.address) == {former, signer}
    assert await signers_of(connection, signer) == frozenset()


def test_the_journal_of_a_former_signer_is_used_unless_its_miner_runs(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment, key = network.deployment, X25519PrivateKey.generate()
    former, later = (Address(operator_key(name).address) for name in ("a0", "a1"))
    path = tmp_path / "journal.sqlite"
    with kept_work(path, deployment, frozenset({former}), (key,)) as kept:
        assert kept is None
    running = Journal(path, journal_identity(deployment, former), AtRest(key))
    with kept_work(path, deployment, frozenset({former, later}), (key,)) as kept:
        assert kept is None
    assert "left alone" in capsys.readouterr().out
    running.close()
    with kept_work(path, deployment, frozenset({later, former}), (key,)) as kept:
        assert kept is not None
        assert kept.signer == former
    with kept_work(path, deployment, frozenset({later}), (key,)) as kept:
        assert kept is None
