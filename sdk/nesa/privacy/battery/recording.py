"""Queries on shares as they are asked, and what each group was sent of them.

Everything is that of a query on a network but for the network: plan, seeds, digits, checks and
members' sums. What a member is sent is written down where it arrives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from eth_keys.datatypes import PrivateKey
from numpy.typing import NDArray

from nesa.models.graph import Opcode, Table
from nesa.privacy.battery.shares import Shares
from nesa.privacy.shared.groups import MemoryGroup
from nesa.privacy.shared.members import GroupMember, held_product
from nesa.privacy.shared.plan import plan
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.seeds import expanded
from nesa.privacy.shared.session import SharedModel, ask
from nesa.privacy.shared.statements import Session
from nesa.privacy.shared.wire import ShareRequest, decode_request
from nesa.protocol.errors import InvalidModel
from nesa.protocol.ids import Address, Digest, QueryId

SESSION: Final = Session(1, Address("0x" + "11" * 20), QueryId(1), Digest(bytes(32)))


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What both groups were sent of k requests, by depth.

    `seeds` are what the first one was really sent, and `others` by their names the digits of
    products that belong to no depth, packed. `counts` are by their names numbers [k] of what the
    groups saw, `seconds` those from the first message of a request to the last at the second one.
    """

    first: Mapping[int, Shares]
    second: Mapping[int, Shares]
    seeds: tuple[bytes, ...]
    others: Mapping[str, tuple[bytes, ...]]
    counts: Mapping[str, NDArray[np.int64]]
    seconds: NDArray[np.float64]


@dataclass(slots=True)
class _Heard:
    """Messages of one request."""

    requests: dict[int, ShareRequest] = field(default_factory=dict)
    size: int = 0
    answered: int = 0
    at: list[float] = field(default_factory=list)

    def take(self, data: bytes) -> None:
        """Write a message down."""
        request = decode_request(data)
        self.requests[request.number] = request
        self.size += len(data)
        self.at.append(time.perf_counter())


def first_round(table: Table) -> Table:
    """The table as far as the products that can be asked about at once: a query on it sends what
    one on the whole table begins with, and is over then.

    Raises:
        InvalidModel: no row is linear.
    """
    products = plan(table).rounds[0]
    sums = tuple(each.value for product in products for each in product.sums)
    return replace(table, outputs=sums, cuts=())


class _Overheard:
    """A group of one member that works as any, and all that it is sent."""

    def __init__(self, name: str, key: bytes, model: SharedModel) -> None:
        products = [held_product(product) for product in model.plan.products]
        member = GroupMember(PrivateKey(key), SESSION, products)
        self.heard = list[_Heard]()
        self.group = MemoryGroup(name, {member.address: self._listening(member.answer)})

    def _listening(self, answer: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        def answering(data: bytes) -> bytes:
            self.heard[-1].take(data)
            reply = answer(data)
            self.heard[-1].answered += len(reply)
            return reply

        return answering


def record(table: Table, values: Sequence[int], inputs: Sequence[bytes], places: int) -> Recorded:
    """What both groups are sent when a table is asked about inputs, canonical bytes each.

    `values` are the numbers of the values that are looked at, by depth. Where the client computes
    a layer by itself, no group is sent anything.

    Raises:
        InvalidModel: no product reads any of them.
    """
    model = SharedModel(table)
    numbers = _products_of(table, model, values)
    groups = [_Overheard(name, bytes([key]) * 32, model) for name, key in (("1", 1), ("2", 2))]
    seen = asyncio.run(_ask_all(model, inputs, groups))
    first, second = (
        {
            depth: _shares(model.plan.products[number], number, heard, places)
            for depth, number in numbers.items()
        }
        for heard in seen
    )
    others = {
        f"product {number}": _packed(product, [one.requests[number] for one in seen[1]])
        for number, product in enumerate(model.plan.products)
        if number not in numbers.values()
    }
    seconds = np.array([one.at[-1] - one.at[0] for one in seen[1]])
    return Recorded(first, second, tuple(map(_seeds, seen[0])), others, _counts(seen), seconds)


def _seeds(heard: _Heard) -> bytes:
    return b"".join(request.seed or b"" for _, request in sorted(heard.requests.items()))


def _packed(product: Product, requests: Sequence[ShareRequest]) -> tuple[bytes, ...]:
    """The bits of the digits of each request, nothing between them."""
    digits = (_digits(product, request).reshape(-1, 1) for request in requests)
    bits = (np.unpackbits(each, axis=1)[:, 8 - product.digits.width :] for each in digits)
    return tuple(np.packbits(each.reshape(-1)).tobytes() for each in bits)


def _counts(seen: Sequence[Sequence[_Heard]]) -> dict[str, NDArray[np.int64]]:
    found = dict[str, NDArray[np.int64]]()
    for group, heard in zip(("first", "second"), seen, strict=True):
        found[f"rounds of the {group} group"] = np.array([len(each.requests) for each in heard])
        found[f"bytes to the {group} group"] = np.array([each.size for each in heard])
        found[f"bytes from the {group} group"] = np.array([each.answered for each in heard])
    return found


async def _ask_all(
    model: SharedModel, inputs: Sequence[bytes], groups: Sequence[_Overheard]
) -> list[list[_Heard]]:
    """What each group heard, request by request."""
    first, second = groups
    order = asking_order(len(inputs))
    for number in order:
        for each in groups:
            each.heard.append(_Heard())
        await ask(model, [inputs[number]], (first.group, second.group), SESSION)
    return [[each.heard[place] for place in np.argsort(order)] for each in groups]


def asking_order(count: int) -> NDArray[np.int64]:
    """The order in which so many requests are asked, always the same. Linked ones are no neighbours
    in it, whom a slow spell of the machine would make as slow."""
    return np.random.default_rng(count).permutation(count)


def _products_of(table: Table, model: SharedModel, values: Sequence[int]) -> dict[int, int]:
    """By depth, the number of the product that reads the value or a view of the same."""
    reading = {source(table, one.value): number for number, one in enumerate(model.plan.products)}
    depths = {depth: source(table, value) for depth, value in enumerate(values)}
    found = {depth: reading[value] for depth, value in depths.items() if value in reading}
    if not found:
        raise InvalidModel("no layer that is looked at is computed on shares")
    return found


def source(table: Table, value: int) -> int:
    """The value that `value` is a view of."""
    while value >= len(table.inputs):
        row = table.rows[value - len(table.inputs)]
        if row.opcode is not Opcode.RESHAPE:
            return value
        value = row.inputs[0]
    return value


def _shares(product: Product, number: int, heard: Sequence[_Heard], places: int) -> Shares:
    """[count, k, places, width], as far as the group expands or reads them."""
    digits = [_digits(product, one.requests[number]) for one in heard]
    stacked = np.stack(digits, 1).reshape(product.digits.count, len(digits), places, -1)
    return Shares(stacked, product.digits)


def _digits(product: Product, request: ShareRequest) -> NDArray[np.uint8]:
    if request.seed is not None:
        share = expanded(request.seed, product.input_edge)
    else:
        share = np.frombuffer(request.digits or b"", np.uint8)
    return share.reshape(product.digits.count, -1)
