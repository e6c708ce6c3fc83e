"""Every check of the doctor fails for its own reason and says what to do."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from nesa.chain.anvil import AnvilSettings, running_anvil
from nesa.chain.deployment import Deployment
from nesa.models.folder import load
from nesa.models.index import constants_path
from nesa.privacy.keys import public_bytes
from nesa.protocol.digests import bytes_root
from nesa.protocol.errors import IntegrityError
from nesa_miner import cli
from nesa_miner.doctor import Verdict
from nesa_miner.doctor.network import Contacts
from nesa_miner.founding import DEPLOYMENT_FILE
from nesa_miner.keys import PASSWORD_VARIABLE
from tests.miner.operating.miner import OwnedMiner
from tests.miner.operating.network import MODEL

Capture = pytest.CaptureFixture[str]

NAMES = [
    "onnx runtime", "keys", "journal", "disk", "port", "node", "chain id", "protocol",
    "contracts", "clock", "inputs", "operator", "stake", "seats", "coins", "store",
    "self-test", "memory", "proofs",
]  # fmt: skip


@pytest.fixture
def seated(miner: OwnedMiner, monkeypatch: pytest.MonkeyPatch) -> OwnedMiner:
    """A registered miner whose seat is active; this machine's clock is the chain's."""
    miner.pay()
    assert miner.register() == 0
    miner.network.pass_time(11)
    now, behind = time.time, time.time() - miner.network.time()
    monkeypatch.setattr(time, "time", lambda: now() - behind)
    return miner


def test_a_sound_miner_passes_every_check(seated: OwnedMiner, capsys: Capture) -> None:
    seated.network.fund(seated.identity.address, 0)
    code, checks = seated.examined(capsys)
    assert list(checks) == NAMES
    assert {name for name, check in checks.items() if check["verdict"] != "ok"} == set()
    assert code == 0


def test_a_signer_that_cannot_pay_for_its_defence_is_warned(
    seated: OwnedMiner, capsys: Capture
) -> None:
    anvil = seated.network.anvil
    anvil.rpc("anvil_setBalance", seated.identity.address, hex(10**12))
    anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    anvil.rpc("evm_mine")
    code, checks = seated.examined(capsys)
    assert code == 0
    assert checks["coins"]["verdict"] == "warning"
    assert f"send {seated.identity.address} some coin" in checks["coins"]["text"]


def test_a_miner_before_registration_is_told_to_register(
    miner: OwnedMiner, capsys: Capture
) -> None:
    code, checks = miner.examined(capsys)
    assert code == 1
    assert checks["operator"]["verdict"] == "failed"
    assert "run `nesa-miner register`" in checks["operator"]["text"]
    assert "a seat locks 1000 NES" in checks["stake"]["text"]
    assert checks["store"]["verdict"] == "skipped"


def test_for_people_it_is_one_line_a_check(miner: OwnedMiner, capsys: Capture) -> None:
    assert cli.main(["doctor", "--dir", str(miner.folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(NAMES)
    assert lines[1].startswith("ok       keys")


def test_a_seat_of_the_next_epoch_is_no_failure(miner: OwnedMiner, capsys: Capture) -> None:
    miner.pay()
    assert miner.register() == 0
    _, checks = miner.examined(capsys)
    assert checks["seats"]["verdict"] == "warning"
    assert "wait for epoch" in checks["seats"]["text"]


def test_a_wrong_password_is_said(
    miner: OwnedMiner, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    code, checks = miner.examined(capsys)
    assert code == 1
    assert "the password does not open" in checks["keys"]["text"]
    assert checks["node"]["verdict"] == "ok"
    assert checks["operator"]["verdict"] == "skipped"


def test_no_password_names_the_variable(
    miner: OwnedMiner, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE)
    _, checks = miner.examined(capsys)
    assert "set NESA_PASSWORD_FILE or NESA_PASSWORD" in checks["keys"]["text"]


def test_a_missing_key_file_is_said(miner: OwnedMiner, capsys: Capture) -> None:
    (miner.folder / miner.settings.encryption_keystore).unlink()
    _, checks = miner.examined(capsys)
    assert checks["keys"]["verdict"] == "failed"
    assert "encryption.json" in checks["keys"]["text"]


def test_a_dead_node_skips_what_needs_it(miner: OwnedMiner, capsys: Capture) -> None:
    miner.change(rpc_url="http://127.0.0.1:9")
    code, checks = miner.examined(capsys)
    assert code == 1
    assert list(checks) == NAMES
    assert "start the node or change rpc_url" in checks["node"]["text"]
    assert checks["chain id"]["verdict"] == "skipped"


def test_another_chain_id_is_said(miner: OwnedMiner, capsys: Capture) -> None:
    with running_anvil(AnvilSettings(chain_id=1337)) as other:
        miner.change(rpc_url=other.url)
        code, checks = miner.examined(capsys)
    assert code == 1
    assert "the node is on chain 1337, the deployment on chain 31337" in checks["chain id"]["text"]
    assert "there is no token contract" in checks["contracts"]["text"]
    assert checks["operator"]["verdict"] == "skipped"


def test_another_protocol_is_said(miner: OwnedMiner, capsys: Capture) -> None:
    path = miner.folder / DEPLOYMENT_FILE
    Deployment.read(path).model_copy(update={"protocol_version": 2}).write(path)
    _, checks = miner.examined(capsys)
    assert "install the release that matches" in checks["protocol"]["text"]


def test_a_slow_clock_is_said(
    miner: OwnedMiner, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = miner.network.time()
    monkeypatch.setattr(time, "time", lambda: now - 3_600)
    _, checks = miner.examined(capsys)
    assert checks["clock"]["verdict"] == "failed"
    assert "set the clock" in checks["clock"]["text"]


def test_another_endpoint_on_chain_is_said(seated: OwnedMiner, capsys: Capture) -> None:
    seated.change(endpoint="http://127.0.0.1:4444")
    code, checks = seated.examined(capsys)
    assert code == 1
    assert "the vault has the endpoint http://127.0.0.1:8701" in checks["operator"]["text"]


def test_an_empty_store_is_said(seated: OwnedMiner, capsys: Capture, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    seated.change(stores=(str(empty),), files=tmp_path / "files")
    code, checks = seated.examined(capsys)
    assert code == 1
    assert "add one that has it to `stores`" in checks["store"]["text"]


def test_a_tampered_shard_is_said(seated: OwnedMiner, capsys: Capture, tmp_path: Path) -> None:
    facts = seated.network.read("registry", "shard", seated.network.version_id, 0)
    tampered = tmp_path / "tampered"
    tampered.mkdir()
    for file in seated.network.store.iterdir():
        (tampered / file.name).write_bytes(file.read_bytes())
    constants = bytes_root(load(MODEL).files[constants_path(0)])
    for digest in (facts.file_digest, constants):
        (tampered / digest.hex()).write_bytes(b"something else")
    seated.change(stores=(str(tampered),), files=tmp_path / "files")
    code, checks = seated.examined(capsys)
    assert code == 1
    assert "no source holds the bytes" in checks["store"]["text"]
    assert "unchanged" in checks["self-test"]["text"]


def test_a_machine_that_computes_otherwise_is_said(
    seated: OwnedMiner, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*_: object) -> None:
        raise IntegrityError("known answer 0 comes out differently on this machine")

    monkeypatch.setattr("nesa.models.runtime.ShardRunner.self_test", differs)
    code, checks = seated.examined(capsys)
    assert code == 1
    assert "comes out differently" in checks["self-test"]["text"]


def test_another_onnx_runtime_is_said(
    miner: OwnedMiner, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.0.0")
    _, checks = miner.examined(capsys)
    assert "version 1.0.0 instead of" in checks["onnx runtime"]["text"]


def test_a_journal_that_cannot_be_written_is_said(miner: OwnedMiner, capsys: Capture) -> None:
    miner.change(journal=Path("nowhere/journal.sqlite"))
    code, checks = miner.examined(capsys)
    assert code == 1
    assert "cannot be written" in checks["journal"]["text"]


def test_a_taken_port_is_said(miner: OwnedMiner, capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", miner.settings.port)):
        code, checks = miner.examined(capsys)
    assert code == 1
    assert "change port in miner.json" in checks["port"]["text"]


@pytest.mark.parametrize(("is_own", "verdict"), [(True, "ok"), (False, "warning")])
def test_the_running_miner_itself_may_have_the_port(
    miner: OwnedMiner, capsys: Capture, is_own: bool, verdict: str
) -> None:
    """It runs with the encryption key that lies here, or has to be restarted."""
    key = public_bytes(miner.identity.encryption) if is_own else bytes(32)
    status: dict[str, object] = {
        "signer": miner.identity.address,
        "encryption_key": f"0x{key.hex()}",
    }
    with answering(miner.settings.port, status):
        _, checks = miner.examined(capsys)
    assert checks["port"]["verdict"] == verdict


def test_another_miner_on_the_port_is_said(miner: OwnedMiner, capsys: Capture) -> None:
    with answering(miner.settings.port, {"signer": "0x" + "11" * 20}):
        _, checks = miner.examined(capsys)
    assert checks["port"]["verdict"] == "failed"


class answering:
    """A miner's status at a port."""

    def __init__(self, port: int, status: dict[str, object]) -> None:
        body = json.dumps(status).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return None

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.mark.parametrize(
    ("allowed", "chain_id", "verdict"),
    [(False, 1, Verdict.OK), (True, 31_337, Verdict.OK), (True, 1, Verdict.WARNING)],
)
def test_who_reads_private_addresses_for_strangers_is_warned(
    allowed: bool, chain_id: int, verdict: Verdict
) -> None:
    connection: Any = SimpleNamespace(deployment=SimpleNamespace(chain_id=chain_id))
    settings: Any = SimpleNamespace(allow_private_contents=allowed)
    unused: Any = None
    check = Contacts(connection, unused, settings, None).check_inputs()
    assert check.verdict is verdict
    assert ("allow_private_contents" in check.text) == (verdict is Verdict.WARNING)
