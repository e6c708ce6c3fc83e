"""A local chain for development and tests: starts and stops an anvil process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eth_account import Account
from eth_account.signers.local import LocalAccount

from nesa.protocol.errors import InvalidConfiguration, Unavailable

CHAIN_ID: Final = 31337
_MNEMONIC: Final = "test test test test test test test test test test test junk"
_START_SECONDS: Final = 15.0
_STOP_SECONDS: Final = 30.0
_RPC_SECONDS: Final = 30.0
_PORT_TRIES: Final = 3
_handed_out: Final[deque[int]] = deque(maxlen=1_000)
_PR_SET_PDEATHSIG: Final = 1
_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A proxy of the environment cannot reach this machine's loopback."""


@dataclass(frozen=True, slots=True)
class AnvilSettings:
    """How the chain runs. `block_time` in seconds, None mines each transaction at once; `state`
    is loaded at the start when it exists and written at the end; port 0 takes any free one. The
    chain begins at `timestamp`, in seconds since 1970, by default now."""

    block_time: float | None = None
    chain_id: int = CHAIN_ID
    state: Path | None = None
    port: int = 0
    mining: bool = True
    log: Path | None = None
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Anvil:
    """A running chain."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """Where it answers JSON-RPC; WebSocket on the same port."""
        return f"http://127.0.0.1:{self.port}"

    def rpc(self, method: str, *params: Any) -> Any:
        """One request, blocking: for set-up code and tests.

        Raises:
            Unavailable: no answer, or an error.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.url, body.encode(), headers)
        try:
            with _DIRECTLY.open(request, timeout=_RPC_SECONDS) as response:
                answer = json.load(response)
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise Unavailable(f"{self.url} did not answer {method}") from error
        if "error" in answer:
            raise Unavailable(f"{method}: {answer['error']}")
        return answer["result"]

    def stop(self) -> None:
        """End the process, politely first so that it can write its state."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_anvil(settings: AnvilSettings = AnvilSettings()) -> Anvil:
    """Start a chain that cannot outlive this process; returns once it answers.

    Raises:
        InvalidConfiguration: there is no anvil on this machine.
        Unavailable: it ended or did not answer in time.
    """
    program = find_anvil(os.environ)
    tries = 1 if settings.port else _PORT_TRIES
    for left in reversed(range(tries)):
        try:
            return _start_once(program, settings, settings.port or free_port())
        except Unavailable:
            if not left:
                raise
    raise AssertionError("the last try returns or raises")


@contextlib.contextmanager
def running_anvil(settings: AnvilSettings = AnvilSettings()) -> Iterator[Anvil]:
    """A chain for the length of a `with` block."""
    anvil = start_anvil(settings)
    try:
        yield anvil
    finally:
        anvil.stop()


def find_anvil(environment: Mapping[str, str]) -> Path:
    """The program: `$ANVIL`, then the search path, then `.tools/bin` of a clone.

    Raises:
        InvalidConfiguration: it is nowhere.
    """
    if named := environment.get("ANVIL"):
        if not os.access(named, os.X_OK):
            raise InvalidConfiguration(f"ANVIL is {named}, which cannot be run")
        return Path(named)
    if found := shutil.which("anvil", path=environment.get("PATH")):
        return Path(found)
    for folder in (Path.cwd(), *Path(__file__).resolve().parents):
        candidate = folder / ".tools" / "bin" / "anvil"
        if os.access(candidate, os.X_OK):
            return candidate
    raise InvalidConfiguration(
        "anvil was not found; run `python -m scripts.setup` in a clone, or set ANVIL to it"
    )


def development_account(index: int) -> LocalAccount:
    """One of the funded accounts of every anvil chain. Everybody knows their keys."""
    Account.enable_unaudited_hdwallet_features()
    path = f"m/44'/60'/0'/0/{index}"
    account: LocalAccount = Account.from_mnemonic(_MNEMONIC, account_path=path)
    return account


def free_port() -> int:
    """A TCP port that nobody listens on now, and that was not handed out here shortly before.

    Programs listen on theirs some time after they were told it.
    """
    while (port := _unused_port()) in _handed_out:
        pass
    _handed_out.append(port)
    return port


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_once(program: Path, settings: AnvilSettings, port: int) -> Anvil:
    with contextlib.ExitStack() as files:
        output: Any = subprocess.DEVNULL
        if settings.log is not None:
            output = files.enter_context(settings.log.open("ab"))
        process = subprocess.Popen(
            _command(program, settings, port),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    anvil = Anvil(process, port)
    try:
        _wait_until_ready(anvil, settings.chain_id)
    except BaseException:
        anvil.stop()
        raise
    return anvil


def _command(program: Path, settings: AnvilSettings, port: int) -> list[str]:
    command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--silent"]
    command += ["--chain-id", str(settings.chain_id)]
    if settings.timestamp is not None:
        command += ["--timestamp", str(settings.timestamp)]
    if settings.block_time is not None:
        command += ["--block-time", f"{settings.block_time:g}"]
    if settings.state is not None:
        command += ["--state", str(settings.state)]
    if not settings.mining:
        command += ["--no-mining"]
    return command


def _wait_until_ready(anvil: Anvil, chain_id: int) -> None:
    limit = time.monotonic() + _START_SECONDS
    while time.monotonic() < limit:
        if (code := anvil.process.poll()) is not None:
            raise Unavailable(f"anvil ended with code {code} before it answered")
        try:
            answer = anvil.rpc("eth_chainId")
        except Unavailable:
            time.sleep(0.02)
            continue
        if int(answer, 16) != chain_id:
            raise Unavailable(f"port {anvil.port} is answered by another chain")
        return
    raise Unavailable(f"anvil did not answer within {_START_SECONDS:g} s")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
