"""The one door to an Ethereum node: JSON-RPC with timeouts, retries and errors in words."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeGuard, TypeVar
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientResponseError, ClientTimeout
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint

from nesa.chain.abi import ContractCall
from nesa.chain.deployment import Deployment
from nesa.chain.http_provider import MAX_ANSWER, CancellableProvider, TooLong
from nesa.chain.reverts import revert_reason
from nesa.protocol.errors import Incompatible, InvalidConfiguration, Rejected, Unavailable
from nesa.protocol.ids import PROTOCOL_VERSION, Address, BlockNumber, Digest, Timestamp

At = BlockNumber | Digest | Literal["latest", "pending"]
"""The block that a read names: its number, its hash, the newest there is, or the one after that."""

_T = TypeVar("_T")

_REVERT_CODE: Final = 3
_TOO_MANY_REQUESTS: Final = 429
_LIMIT_EXCEEDED: Final = -32005  # EIP-1474
_HEX: Final = re.compile(r"0x[0-9a-fA-F]*")
_RATE_LIMITED: Final = re.compile(r"rate limit|too many requests|capacity", re.IGNORECASE)


class RpcRefused(Unavailable):
    """The node answered a request with an error that is no revert."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} (code {code})")
        self.method = method
        self.code = code
        self.message = message

    @property
    def is_transient(self) -> bool:
        """Whether the same request may work a moment later."""
        return self.code == _TOO_MANY_REQUESTS or bool(_RATE_LIMITED.search(self.message))


@dataclass(frozen=True, slots=True)
class RpcPolicy:
    """How patient a connection is; times in seconds. `poll` is the pause between two looks."""

    timeout: float = 10.0
    retries: int = 3
    backoff: float = 0.2
    poll: float = 0.25


@dataclass(frozen=True, slots=True)
class Block:
    """Header of one block."""

    number: BlockNumber
    hash: Digest
    parent_hash: Digest
    timestamp: Timestamp
    base_fee: int


class Connection:
    """A node and the deployment that it was checked against. Make one with `open`.

    Reads are tried again by policy; nothing that sends is. An async context manager.
    """

    def __init__(
        self, rpc_url: str, deployment: Deployment, policy: RpcPolicy = RpcPolicy()
    ) -> None:
        if urlsplit(rpc_url).scheme not in ("http", "https"):
            raise InvalidConfiguration(f"{redacted(rpc_url)} is not an http or https URL")
        self.url = redacted(rpc_url)
        self.deployment = deployment
        self.policy = policy
        timeout = ClientTimeout(total=policy.timeout)
        self._provider = CancellableProvider(rpc_url, timeout=timeout)

    @classmethod
    async def open(
        cls, rpc_url: str, deployment: Deployment, policy: RpcPolicy = RpcPolicy()
    ) -> Self:
        """Connect and check that this is the chain and the deployment that are meant.

        Raises:
            Unavailable: nobody answers at the URL.
            Incompatible: another chain, another protocol, or no contracts there.
        """
        connection = cls(rpc_url, deployment, policy)
        try:
            await connection.check()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def check(self) -> None:
        """See `open`; asks again, e.g. after the node came back."""
        expected = self.deployment
        if expected.protocol_version != PROTOCOL_VERSION:
            raise Incompatible(
                f"the deployment speaks protocol {expected.protocol_version}, this program "
                f"{PROTOCOL_VERSION}; install the release that matches"
            )
        chain_id = quantity(await self.request("eth_chainId"))
        if chain_id != expected.chain_id:
            raise Incompatible(
                f"{self.url} is chain {chain_id}, the deployment is on chain "
                f"{expected.chain_id}; point rpc_url or the deployment file at the other"
            )
        for name, address in expected.contracts().items():
            if not await self.code(address):
                raise Incompatible(
                    f"there is no {name} contract at {address} on {self.url}; was the chain "
                    "reset since it was deployed?"
                )

    async def request(self, method: str, *params: Any) -> Any:
        """Result of a read, tried again when nobody answered.

        Raises:
            Rejected: the call reverted.
            Unavailable: no answer, garbage, or an error (`RpcRefused`) after all tries.
        """
        return await self._retried(lambda: self.request_once(method, *params))

    async def submit(self, method: str, *params: Any) -> Any:
        """As `request_once`, tried again while the node is too busy: then it took nothing."""
        return await self._retried(lambda: self.request_once(method, *params), on_silence=False)

    async def request_once(self, method: str, *params: Any) -> Any:
        """As `request`, with a single try: for requests that change something."""
        try:
            response = await self._provider.make_request(RPCEndpoint(method), list(params))
        except TimeoutError as error:
            raise Unavailable(
                f"{self.url} did not answer {method} within {self.policy.timeout:g} s"
            ) from error
        except (ClientError, OSError) as error:
            if isinstance(error, ClientResponseError) and error.status == _TOO_MANY_REQUESTS:
                raise RpcRefused(method, error.status, "too many requests") from error
            raise Unavailable(f"{self.url} cannot be reached for {method}") from error
        except TooLong as error:
            message = f"response size exceeds {MAX_ANSWER:,} bytes"
            raise RpcRefused(method, _LIMIT_EXCEEDED, message) from error
        except (Web3Exception, ValueError, TypeError, AttributeError) as error:
            raise Unavailable(f"{self.url} answered {method} with garbage") from error
        return self._result(method, response)

    async def head(self) -> Block:
        """The newest block."""
        return _block(await self.request("eth_getBlockByNumber", "latest", False))

    async def block(self, at: BlockNumber | Digest) -> Block:
        """Header of a block given by number or hash.

        Raises:
            Unavailable: the node does not have it (yet).
        """
        found = await self.find_block(at)
        if found is None:
            raise Unavailable(f"{self.url} has no block {_block_name(at)}")
        return found

    async def find_block(self, at: BlockNumber | Digest) -> Block | None:
        """Header of a block, None when the node does not have it (yet)."""
        method = "eth_getBlockByHash" if _is_hash(at) else "eth_getBlockByNumber"
        found = await self.request(method, _block_name(at), False)
        return None if found is None else _block(found)

    async def call(
        self, call: ContractCall, at: At, sender: Address | None = None, gas: int | None = None
    ) -> bytes:
        """What `call` returns at a block; nothing is sent.

        Raises:
            Rejected: it reverts.
        """
        transaction = _transaction(call, sender)
        if gas is not None:
            transaction["gas"] = hex(gas)
        return data_bytes(await self.request("eth_call", transaction, _block_parameter(at)))

    async def estimated_gas(self, call: ContractCall, at: At, sender: Address) -> int:
        """What the node thinks that `call` needs.

        Raises:
            Rejected: it reverts.
        """
        transaction = _transaction(call, sender)
        found = await self.request("eth_estimateGas", transaction, _block_parameter(at))
        return quantity(found)

    async def code(self, address: Address, at: At = "latest") -> bytes:
        """Runtime code at `address`; empty when there is none."""
        return data_bytes(await self.request("eth_getCode", address, _block_parameter(at)))

    async def balance(self, address: Address, at: At = "latest") -> int:
        """Native coin of `address`, in wei."""
        return quantity(await self.request("eth_getBalance", address, _block_parameter(at)))

    async def mined_nonce(self, address: Address, at: At = "latest") -> int:
        """How many transactions of `address` are in blocks up to `at`."""
        found = await self.request("eth_getTransactionCount", address, _block_parameter(at))
        return quantity(found)

    async def close(self) -> None:
        """Let go of the sockets."""
        await self._provider.disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _retried(self, ask: Callable[[], Awaitable[_T]], on_silence: bool = True) -> _T:
        for attempt in range(self.policy.retries):
            try:
                return await ask()
            except RpcRefused as error:
                if not error.is_transient:
                    raise
            except Unavailable:
                if not on_silence:
                    raise
            await asyncio.sleep(self.policy.backoff * 2**attempt)
        return await ask()

    def _result(self, method: str, response: Any) -> Any:
        if not isinstance(response, dict) or not {"result", "error"} & response.keys():
            raise Unavailable(f"{self.url} answered {method} with garbage")
        error = response.get("error")
        if error is None:
            return response.get("result")
        if not isinstance(error, dict):
            raise RpcRefused(method, 0, str(error))
        code, message = error.get("code"), str(error.get("message", ""))
        data = _revert_data(error.get("data"))
        if code == _REVERT_CODE or data or "execution reverted" in message:
            raise Rejected(revert_reason(data))
        raise RpcRefused(method, code if isinstance(code, int) else 0, message)


def redacted(url: str) -> str:
    """`url` without user, password, path or query, any of which may hold a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the URL"
    hidden = "/..." if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.hostname}{port}{hidden}"


def data_bytes(value: Any) -> bytes:
    """Bytes of a JSON-RPC data field.

    Raises:
        Unavailable: it is none.
    """
    if not isinstance(value, str) or not _HEX.fullmatch(value) or len(value) % 2:
        raise Unavailable("the node answered garbage where bytes were expected")
    return bytes.fromhex(value[2:])


def quantity(value: Any) -> int:
    """Number in a JSON-RPC quantity field.

    Raises:
        Unavailable: it is none.
    """
    if not isinstance(value, str) or not _HEX.fullmatch(value) or value == "0x":
        raise Unavailable("the node answered garbage where a number was expected")
    return int(value, 16)


def _transaction(call: ContractCall, sender: Address | None) -> dict[str, str]:
    fields = {"to": str(call.to), "data": f"0x{call.data.hex()}", "value": hex(call.value)}
    return fields if sender is None else {**fields, "from": sender}


def _block(found: Any) -> Block:
    if not isinstance(found, dict):
        raise Unavailable("the node answered garbage where a block was expected")
    return Block(
        number=BlockNumber(quantity(found.get("number"))),
        hash=Digest(data_bytes(found.get("hash"))),
        parent_hash=Digest(data_bytes(found.get("parentHash"))),
        timestamp=Timestamp(quantity(found.get("timestamp"))),
        base_fee=quantity(found.get("baseFeePerGas", "0x0")),
    )


def _is_hash(at: At) -> TypeGuard[Digest]:
    return isinstance(at, bytes)


def _block_name(at: At) -> str:
    if isinstance(at, bytes):
        return f"0x{at.hex()}"
    return at if isinstance(at, str) else hex(at)


def _block_parameter(at: At) -> str | dict[str, str]:
    return {"blockHash": _block_name(at)} if isinstance(at, bytes) else _block_name(at)


def _revert_data(value: Any) -> bytes:
    """Revert data where nodes put it: the field itself, or nested once."""
    if isinstance(value, dict):
        value = value.get("data")
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        return b""
    return bytes.fromhex(value[2:])
