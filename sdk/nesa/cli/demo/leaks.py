"""Looks for a secret in everything that a network left behind: calldata, logs, files."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nesa.chain.connection import Connection, data_bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """Some bytes that somebody could read, and where."""

    place: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Leak:
    """Where a secret was found and in which spelling."""

    place: str
    spelling: str


def spellings(secret: bytes, values: NDArray[np.generic]) -> dict[str, bytes]:
    """The ways in which a program might write a tensor down."""
    numbers = [str(number) for number in values.reshape(-1).tolist()]
    return {
        "raw bytes": secret,
        "hexadecimal": secret.hex().encode(),
        "base64": base64.b64encode(secret).rstrip(b"="),
        "list": ", ".join(numbers).encode(),
        "compact list": ",".join(numbers).encode(),
        "array": " ".join(numbers).encode(),
    }


def find(secrets: dict[str, bytes], traces: Iterable[Trace]) -> tuple[Leak, ...]:
    """Every place that holds the secret in any spelling."""
    return tuple(
        Leak(trace.place, name)
        for trace in traces
        for name, spelling in secrets.items()
        if spelling in trace.data
    )


def read_files(folders: Sequence[Path]) -> Iterator[Trace]:
    """Every file below the folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield Trace(str(path), path.read_bytes())


async def read_chain(connection: Connection) -> list[Trace]:
    """Calldata of every transaction and the data of every log since the deployment."""
    head = (await connection.head()).number
    traces: list[Trace] = []
    for number in range(connection.deployment.block, head + 1):
        block = await connection.request("eth_getBlockByNumber", hex(number), True)
        traces += [
            Trace(f"calldata of {sent['hash']}", data_bytes(sent["input"]))
            for sent in block["transactions"]
        ]
    logs = await connection.request(
        "eth_getLogs", {"fromBlock": hex(connection.deployment.block), "toBlock": hex(head)}
    )
    traces += [Trace(f"log of {log['transactionHash']}", data_bytes(log["data"])) for log in logs]
    return traces
