"""What the doctor can see without the chain: runtime, keys, journal, disk, port."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import re
import socket
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

import onnxruntime

from nesa.privacy.keys import public_bytes
from nesa.protocol.errors import NesaError
from nesa_miner.config import CONFIG_FILE
from nesa_miner.doctor.checks import Check, Patient, Verdict, failed
from nesa_miner.identity import Identity
from nesa_miner.keys import PASSWORD_VARIABLE, open_identity
from nesa_miner.status import as_daemon

FREE_BYTES: Final = 1 << 30


def check_runtime() -> Check:
    """ONNX Runtime is the version whose sums were compared."""
    wanted = _pinned("onnxruntime")
    found = str(onnxruntime.__version__)
    if wanted in ("", found):
        return Check("onnx runtime", Verdict.OK, found)
    return failed("onnx runtime", f"version {found} instead of {wanted}; run `make setup` again")


def check_keys(patient: Patient) -> tuple[Identity | None, Check]:
    """Signer and encryption keys open."""
    if patient.password is None:
        text = f"set {PASSWORD_VARIABLE}_FILE or {PASSWORD_VARIABLE} to unlock the keys"
        return None, failed("keys", text)
    try:
        identity = open_identity(patient.folder, patient.settings, patient.password)
    except NesaError as error:
        return None, failed("keys", f"{error}; check the password, or restore the file")
    return identity, Check("keys", Verdict.OK, f"signer {identity.address}")


def check_journal(patient: Patient) -> Check:
    """A journal can be written where the miner keeps it."""
    path = patient.folder / patient.settings.journal
    try:
        if path.exists():
            path.open("r+b").close()
        _write_probe(path.parent)
    except (OSError, sqlite3.Error) as error:
        return failed("journal", f"{path.parent} cannot be written ({error}); mend its rights")
    return Check("journal", Verdict.OK, str(path))


def _write_probe(parent: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=parent) as folder:
        probe = sqlite3.connect(Path(folder) / "probe.sqlite")
        with closing(probe):
            probe.execute("PRAGMA journal_mode = WAL")
            probe.execute("CREATE TABLE probe (body BLOB)")
            probe.commit()


def check_disk(patient: Patient) -> Check:
    """There is room for shards, keys and the journal."""
    found = os.statvfs(patient.folder)
    free = found.f_bavail * found.f_frsize
    text = f"{free >> 20} MiB free"
    if free >= FREE_BYTES:
        return Check("disk", Verdict.OK, text)
    advice = f"{text} in {patient.folder}; make room for {FREE_BYTES >> 20} MiB"
    return Check("disk", Verdict.WARNING if free else Verdict.FAILED, advice)


async def check_port(patient: Patient, identity: Identity | None) -> Check:
    """The port is free, or this very miner listens on it."""
    host, port = patient.settings.host, patient.settings.port
    try:
        with socket.create_server((host, port)):
            return Check("port", Verdict.OK, f"{host}:{port} is free")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            text = f"cannot listen on {host}:{port} ({error.strerror}); change host or port"
            return failed("port", f"{text} in {CONFIG_FILE}")
    try:
        status = await as_daemon(patient.folder, patient.settings).ask_running()
    except NesaError:
        status = {}
    if identity is not None and status.get("signer") == identity.address:
        if status.get("encryption_key") != f"0x{public_bytes(identity.encryption).hex()}":
            text = f"this miner runs on {host}:{port} with another encryption key than lies here"
            return Check("port", Verdict.WARNING, f"{text}; restart it")
        return Check("port", Verdict.OK, f"this miner is running on {host}:{port}")
    return failed("port", f"another program has {host}:{port}; change port in {CONFIG_FILE}")


def _pinned(package: str) -> str:
    """The exact version that this package asks for, empty when it is not installed as one."""
    try:
        wanted = importlib.metadata.requires("nesa") or []
    except importlib.metadata.PackageNotFoundError:
        return ""
    pin = re.compile(rf"{re.escape(package)}\s*\(?==\s*([\w.]+)")
    found = [match.group(1) for text in wanted if (match := pin.match(text))]
    return found[0] if found else ""
