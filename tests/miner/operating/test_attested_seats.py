"""A seat for attested operators only, from the operator's quote to the client that asks for it.

The quote is one of a real processor, and speaks for keys of somebody else: so it is refused by
name, and counts only under a policy that names its report data. A quote of our own keys takes a
processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nesa import Client, InvalidInput, Unavailable
from nesa.chain.admissions import SeatAttestations
from nesa.chain.deployment import Network
from nesa.chain.keystore import create_keystore
from nesa.chain.sender import Sender
from nesa.cli.compiling import recut
from nesa.cli.main import main as nesa
from nesa.client.attested_seats import require_attested
from nesa.models.folder import load, save
from nesa.privacy.attested.evidence import MAX_SEAT_EVIDENCE_BYTES, SeatEvidence
from nesa.privacy.attested.quotes import read_quote
from nesa.privacy.keys import public_bytes
from nesa.protocol.ids import Address, Digest, Timestamp, VersionId
from nesa_miner import cli
from nesa_miner.keys import open_identity
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import HOLDER, MODEL, PASSWORD, LocalNetwork, create
from tests.miner.operating.sweeping import open_slots, sweep
from tests.miner.operating.test_doctor import answering
from tests.privacy.attested.test_policy import BINDING
from tests.privacy.attested.test_quotes import TDX, VECTORS

Capture = pytest.CaptureFixture[str]
ATTESTOR = HOLDER
HOUR = 3600
QUOTE = read_quote(TDX.data)
FILES = [str(VECTORS / "tdx_quote"), "--collateral", str(VECTORS / "tdx_quote_collateral.json")]


@dataclass(frozen=True)
class AttestedNetwork:
    """A network with a version for attested seats; its developer is the attestor too."""

    network: LocalNetwork
    statements: Address
    folder: Path
    options: tuple[str, ...]

    @property
    def version(self) -> str:
        return f"0x{self.network.version_id.hex()}"

    def policy(self, **more: Any) -> Path:
        """A policy for the program of the sample quote."""
        path = self.folder / "policy.json"
        registers = {"mr_td": QUOTE.registers["mr_td"].hex()}
        measurements = [{"technology": "tdx", "registers": registers}]
        path.write_text(json.dumps({"measurements": measurements, "max_age": 1000, **more}))
        return path

    def post(self, miner: OwnedMiner, policy: Path) -> int:
        words = ["attest", "post", miner.owner.address, "--policy", str(policy)]
        return nesa([*words, "--contract", self.statements, *self.options, "--json"])


@pytest.fixture
def attested(network: LocalNetwork, tmp_path: Path, capsys: Capture) -> AttestedNetwork:
    vault = network.deployment.vault
    place = create(network.anvil, "registry/SeatAttestations", (vault, ATTESTOR.address))
    folder = tmp_path / "attestor"
    save(recut(load(MODEL), 2), folder / "model")
    create_keystore(folder / "key.json", "attestor's own", bytes(ATTESTOR.key), cost=2**10)
    (folder / "password").write_text("attestor's own")
    (folder / "password").chmod(0o600)
    description = Network(rpc_url=network.anvil.url, chain_id=31337, contracts=network.deployment)
    description.write(folder / "network.json")
    options = (
        *("--network", str(folder / "network.json"), "--keystore", str(folder / "key.json")),
        *("--password-file", str(folder / "password")),
    )
    words = ["model", "register", str(folder / "model"), "--price", "0.05", "--admission", place]
    assert nesa([*words, "--store", str(network.store), *options, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    version = replace(network, version_id=VersionId(bytes.fromhex(said["version"][2:])))
    return AttestedNetwork(version, place, folder, options)


@contextlib.contextmanager
def running(miner: OwnedMiner) -> Iterator[None]:
    """The miner as a process of its own, which answers at its endpoint."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    command = [sys.executable, "-m", "nesa_miner.cli", "run", "--dir", str(miner.folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        ends = time.monotonic() + 90
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                direct.open(f"{miner.settings.endpoint}/healthz", timeout=5).close()
                break
            assert process.poll() is None, "the miner ended"
            assert time.monotonic() < ends, "the miner does not answer"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_an_attested_operator_is_seated_and_asked_for(
    attested: AttestedNetwork, miner: OwnedMiner, capsys: Capture
) -> None:
    """Step by step: not attested, no quote, another's quote, a policy that names it, revoked."""
    miner.change(endpoint=f"http://127.0.0.1:{miner.settings.port}")
    miner.pay()
    seat, folder = replace(miner, network=attested.network), str(miner.folder)
    key = public_bytes(miner.identity.encryption).hex()
    assert seat.register() == 1
    assert f"(signer {miner.identity.address}, encryption key {key})" in capsys.readouterr().err
    naming = {
        "operator": miner.owner.address,
        "signer": miner.identity.address,
        "encryption_key": key,
        "report_data": QUOTE.report_data.hex(),
    }
    with running(miner):
        assert attested.post(miner, attested.policy()) == 1
        assert "has no evidence of its seat" in capsys.readouterr().out
        assert cli.main(["quote-data", "--dir", folder, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        block = ["--block", str(shown["block"]), "--dir", folder]
        assert cli.main(["attest", *FILES, *block]) == 1
        assert f"have to be {shown['report_data']}" in capsys.readouterr().err
        assert cli.main(["attest", *FILES, *block, "--other-format"]) == 0
        capsys.readouterr()
        assert attested.post(miner, attested.policy()) == 1
        refused = json.loads(capsys.readouterr().out)["statements"][0]["refused"]
        assert "for another operator, signer, key, chain or block" in refused
        assert seat.register() == 1
        capsys.readouterr()
        assert attested.post(miner, attested.policy(report_data=[naming])) == 0
    stated = json.loads(capsys.readouterr().out)["statements"][0]
    assert stated["signer"] == miner.identity.address
    assert stated["until"] > TDX.at + 7 * 24 * 3600
    assert seat.register() == 0
    capsys.readouterr()
    attested.network.pass_time(10)
    ask_for_attested(attested)
    words = ["attest", "revoke", miner.owner.address, "--contract", attested.statements]
    assert nesa([*words, *attested.options, "--json"]) == 0
    revoked = [{"signer": miner.identity.address, "encryption_key": f"0x{key}"}]
    assert json.loads(capsys.readouterr().out)["statements"] == revoked
    with pytest.raises(Unavailable, match="end its seat with `nesa model evict"):
        ask_for_attested(attested)
    words = ["model", "evict", attested.version, *attested.options, "--json"]
    for ended in ([{"operator": miner.owner.address, "shard": 0, "slot": 0}], []):
        assert nesa(words) == 0
        assert json.loads(capsys.readouterr().out)["ended"] == ended
    with pytest.raises(Unavailable, match="its seat ends with this epoch"):
        ask_for_attested(attested)
    attested.network.pass_time(HOUR)
    ask_for_attested(attested)  # what is left is attested, if nobody at all


def test_statements_of_former_keys_are_revoked_too(
    attested: AttestedNetwork, miner: OwnedMiner, capsys: Capture
) -> None:
    """Whoever is about to be found out changes its keys: the seat keeps its signer, and goes on."""
    state(attested, miner)
    miner.pay()
    assert replace(miner, network=attested.network).register() == 0
    successor = str(miner.folder.with_name("second"))
    words = ["rotate-signer", successor, "--dir", str(miner.folder), "--port", "8702"]
    assert cli.main([*words, "--light-keys"]) == 0
    words = ["rotate-encryption-key", "--dir", str(miner.folder), "--unattested"]
    assert cli.main(words) == 0
    attested.network.pass_time(2 * HOUR // 60)
    owner, signer = miner.owner.address, miner.identity.address
    key, admits = public_bytes(miner.identity.encryption), ("registry", "admits")
    revoke = ["attest", "revoke", owner, "--contract", attested.statements, *attested.options]
    capsys.readouterr()
    assert nesa([*revoke, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["statements"]
    assert found == [{"signer": signer, "encryption_key": f"0x{key.hex()}"}]
    assert not attested.network.read(*admits, attested.network.version_id, owner, signer)
    assert nesa(["model", "evict", attested.version, *attested.options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ended"][0]["operator"] == owner
    assert nesa(revoke) == 1
    assert "nothing to take back" in " ".join(capsys.readouterr().err.split())


def test_a_watchtower_ends_the_seat_of_a_statement_that_ran_out(
    attested: AttestedNetwork, miner: OwnedMiner
) -> None:
    """No event tells of it. Another version, which admits everybody, keeps its seats."""
    state(attested, miner)
    miner.pay()
    assert replace(miner, network=attested.network).register() == 0
    asyncio.run(sweep(attested.network))
    assert open_slots(attested.network, attested.network.version_id) == [0]
    attested.network.pass_time(HOUR + 1)
    with pytest.raises(Unavailable, match="attested no more"):
        ask_for_attested(attested)
    asyncio.run(sweep(attested.network))
    assert open_slots(attested.network, attested.network.version_id) == []
    attested.network.pass_time(HOUR)
    ask_for_attested(attested)


def test_an_attested_key_is_not_rotated_unawares(
    attested: AttestedNetwork, miner: OwnedMiner, capsys: Capture
) -> None:
    """Nothing is changed until the operator says that its seat may be lost."""
    state(attested, miner)
    miner.pay()
    assert replace(miner, network=attested.network).register() == 0
    path = miner.folder / miner.settings.encryption_keystore
    before = path.read_bytes()
    words = ["rotate-encryption-key", "--dir", str(miner.folder), "--json"]
    capsys.readouterr()
    assert cli.main(words) == 1
    said = json.loads(capsys.readouterr().out)["error"]["message"]
    assert f"could end the seat in {attested.version}" in said
    assert path.read_bytes() == before
    owner, signer = miner.owner.address, miner.identity.address
    admits = ("registry", "admits", attested.network.version_id, owner, signer)
    assert attested.network.read(*admits)
    assert cli.main([*words, "--unattested"]) == 0
    assert path.read_bytes() != before
    assert not attested.network.read(*admits), "as was said"


def test_a_key_that_is_attested_before_it_is_named_leaves_no_gap(
    attested: AttestedNetwork, miner: OwnedMiner, capsys: Capture
) -> None:
    state(attested, miner)
    miner.pay()
    seat = replace(miner, network=attested.network)
    assert seat.register() == 0
    before = public_bytes(miner.identity.encryption)
    rotate = ["rotate-encryption-key", "--dir", str(miner.folder), "--json"]
    attested.network.pass_time(HOUR + 1)
    capsys.readouterr()
    assert cli.main([*rotate, "--prepare"]) == 1, "the key in use is attested first"
    assert f"about the encryption key 0x{before.hex()}" in capsys.readouterr().out
    assert public_bytes(open_identity(miner.folder, miner.settings, PASSWORD).encryption) == before
    state(attested, miner)
    for _ in range(2):
        capsys.readouterr()
        assert cli.main([*rotate, "--prepare"]) == 0
        prepared = json.loads(capsys.readouterr().out)["encryption"]
        new = public_bytes(open_identity(miner.folder, miner.settings, PASSWORD).encryption)
        assert prepared == f"0x{new.hex()}" != f"0x{before.hex()}"
    assert seat.register() == 1, "which would name the key"
    assert cli.main(rotate) == 1
    assert f"about the encryption key {prepared}" in capsys.readouterr().out
    owner, signer = Address(miner.owner.address), miner.identity.address
    assert attested.network.read("vault", "operator", owner).next_encryption_key == before
    state(attested, miner, new, seconds=10)
    assert cli.main(rotate) == 1, "over before the key is used"
    show_and_post(attested, miner, new, capsys)
    assert cli.main(rotate) == 0
    assert attested.network.read("vault", "operator", owner).next_encryption_key == new
    admits = ("registry", "admits", attested.network.version_id, owner, signer)
    assert attested.network.read(*admits)
    attested.network.pass_time(2 * attested.network.read("vault", "epoch_seconds"))
    assert attested.network.read(*admits)


def show_and_post(
    attested: AttestedNetwork, miner: OwnedMiner, key: bytes, capsys: Capture
) -> None:
    """Have the attestor vouch for a key by the evidence of the miner, as its policy names it."""
    folder = ["--dir", str(miner.folder)]
    capsys.readouterr()
    assert cli.main(["quote-data", *folder, "--json"]) == 0
    block = str(json.loads(capsys.readouterr().out)["block"])
    assert cli.main(["attest", *FILES, "--block", block, "--other-format", *folder]) == 0
    naming = {
        "operator": miner.owner.address,
        "signer": miner.identity.address,
        "encryption_key": key.hex(),
        "report_data": QUOTE.report_data.hex(),
    }
    policy = str(attested.policy(report_data=[naming]))
    file = str(miner.folder / "seat_evidence.json")
    words = ["attest", "post", file, "--policy", policy, "--contract", attested.statements]
    assert nesa([*words, *attested.options]) == 0


def state(
    attested: AttestedNetwork, miner: OwnedMiner, key: bytes | None = None, seconds: int = HOUR
) -> None:
    """Have the attestor vouch for a miner's key, which no quote here could show."""

    async def send() -> None:
        async with attested.network.connect() as connection:
            statements = SeatAttestations(connection, attested.statements)
            until = attested.network.time() + seconds
            stated = key or public_bytes(miner.identity.encryption)
            keys = (Address(miner.owner.address), miner.identity.address, stated)
            call = statements.attest(*keys, Digest(bytes(31) + b"\1"), Timestamp(until))
            await Sender(connection, ATTESTOR).send(call)

    asyncio.run(send())


def ask_for_attested(attested: AttestedNetwork, version: str | None = None) -> None:
    """Ask as a client does before it pays."""

    async def ask() -> None:
        async with Client.connect(attested.folder / "network.json") as client:
            model = await client.model(version or attested.version)
            await require_attested(client.contracts, model, attested.statements)

    asyncio.run(ask())


def test_what_an_endpoint_shows_of_somebody_else_is_refused(
    attested: AttestedNetwork, miner: OwnedMiner, capsys: Capture
) -> None:
    miner.change(endpoint=f"http://127.0.0.1:{miner.settings.port}")
    miner.pay()
    replace(miner, network=attested.network).register()
    binding = replace(BINDING, operator=Address(ATTESTOR.address))
    document = json.loads(SeatEvidence(binding, TDX.data, TDX.collateral).encode())
    cases: list[tuple[dict[str, object], str]] = [
        (document, f"shows the evidence of {ATTESTOR.address}"),
        ({"quote": "0x00"}, "not the evidence of a seat"),
        ({"quote": "0x" + "00" * MAX_SEAT_EVIDENCE_BYTES}, "the answer has more than"),
    ]
    for shown, reason in cases:
        capsys.readouterr()
        with answering(miner.settings.port, shown):
            assert attested.post(miner, attested.policy()) == 1
        assert reason in json.loads(capsys.readouterr().out)["statements"][0]["refused"]


def test_seats_for_everybody_are_not_attested(
    attested: AttestedNetwork, network: LocalNetwork
) -> None:
    with pytest.raises(InvalidInput, match="seats everybody, so its seats are not attested"):
        ask_for_attested(attested, f"0x{network.version_id.hex()}")


def test_only_the_attestor_states(attested: AttestedNetwork, capsys: Capture) -> None:
    outsider = attested.folder / "outsider.json"
    account = create_keystore(outsider, "attestor's own", cost=2**10)
    options = [str(outsider) if one.endswith("key.json") else one for one in attested.options]
    words = ["attest", "post", account.address, "--policy", str(attested.policy())]
    assert nesa([*words, "--contract", attested.statements, *options]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"takes the word of {ATTESTOR.address}, and you are {account.address}" in said


def test_evidence_of_a_file_is_verified_and_nothing_is_sent(
    attested: AttestedNetwork, miner: OwnedMiner, capsys: Capture
) -> None:
    miner.pay()
    replace(miner, network=attested.network).register()
    words = ["attest", *FILES, "--block", "1", "--other-format", "--dir", str(miner.folder)]
    assert cli.main(words) == 0
    capsys.readouterr()
    file = str(miner.folder / "seat_evidence.json")
    verify = ["attest", "verify", file, "--policy", str(attested.policy()), *attested.options]
    assert nesa(verify) == 1
    assert "for another operator, signer, key, chain or block" in capsys.readouterr().err
    stranger = ["attest", "verify", ATTESTOR.address, *verify[3:]]
    assert nesa(stranger) == 1
    assert "is no operator of this chain" in capsys.readouterr().err


def test_a_quote_is_shown_as_policies_name_it(capsys: Capture) -> None:
    words = ["attest", "show", *FILES, "--json"]
    assert nesa([*words, "--at", str(TDX.at)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["mr_td"] == f"0x{QUOTE.registers['mr_td'].hex()}"
    assert (shown["verified"], shown["status"], shown["debug"]) == (True, "UpToDate", False)
    assert nesa(words) == 1, "the collateral is old by now"
    assert nesa(["attest", "show", FILES[0], "--json"]) == 0
