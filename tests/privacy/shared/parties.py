"""Members of two groups with real runners, and members that lie, stop or garble."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np
from eth_keys.datatypes import PrivateKey

from nesa.models.runtime import ShardRunner
from nesa.privacy.shared.groups import MemoryGroup
from nesa.privacy.shared.members import GroupMember, held_product
from nesa.privacy.shared.products import Product
from nesa.privacy.shared.session import SharedModel
from nesa.privacy.shared.statements import Session, sign_sums
from nesa.privacy.shared.wire import (
    ShareReply,
    decode_reply,
    decode_request,
    encode_reply,
    pack_sums,
    unpack_sums,
)
from nesa.protocol.digests import boundary_digest
from nesa.protocol.ids import Address, Digest, QueryId
from nesa.protocol.sessions import FIRST_SESSION

SESSION = Session(
    31337, Address("0x" + "11" * 20), QueryId(FIRST_SESSION + 1), Digest(b"\x22" * 32)
)
Answer = Callable[[bytes], bytes]


@cache
def held_products(model: SharedModel) -> tuple[ShardRunner, ...]:
    """The products of a model, compiled once for all members."""
    return tuple(held_product(product) for product in model.plan.products)


class Group:
    """A group whose members can be made to misbehave one by one."""

    def __init__(self, name: str, model: SharedModel, first_key: int, replicas: int = 1) -> None:
        self.name, self.model = name, model
        self.keys = [PrivateKey(bytes(31) + bytes([first_key + i])) for i in range(replicas)]
        held = held_products(model)
        self.honest = [GroupMember(key, SESSION, held) for key in self.keys]
        self.answers: dict[Address, Answer] = {one.address: one.answer for one in self.honest}
        self.heard_first: Address | None = None

    @property
    def addresses(self) -> list[Address]:
        """Its members in the order of their keys."""
        return list(self.answers)

    def replace(self, place: int, make: Callable[[GroupMember, PrivateKey], Answer]) -> Address:
        """The address of the member that now answers as `make` says."""
        member = self.honest[place]
        self.answers[member.address] = make(member, self.keys[place])
        return member.address

    @property
    def transport(self) -> MemoryGroup:
        """The group as a client sees it."""
        if self.heard_first is None:
            return MemoryGroup(self.name, self.answers)
        return _OneHeardFirst(self.name, self.answers, self.heard_first)


class _OneHeardFirst(MemoryGroup):
    """A group whose others are asked once the first one's reply has arrived."""

    def __init__(self, name: str, answers: dict[Address, Answer], first: Address) -> None:
        super().__init__(name, answers)
        self._first, self._heard = first, asyncio.Event()

    async def ask(self, member: Address, request: bytes) -> bytes:
        if member != self._first:
            await self._heard.wait()
            return await super().ask(member, request)
        try:
            return await super().ask(member, request)
        finally:
            self._heard.set()


def off_by_one(
    model: SharedModel, about: bytes | None = None, by: int = 1
) -> Callable[[GroupMember, PrivateKey], Answer]:
    """A member that moves one sum `by` steps and signs that, as the sums of share `about` where it
    names another than it was sent."""

    def make(member: GroupMember, key: PrivateKey) -> Answer:
        def answer(data: bytes) -> bytes:
            request = decode_request(data)
            product = model.plan.products[request.number]
            reply = decode_reply(member.answer(data))
            sums = changed(product, reply, by)
            given = Digest(about or reply.in_digest)
            out = boundary_digest((product.output_edge,), (sums,))
            context = SESSION.product(request.number)
            said = sign_sums(key, context, request.round, given, out).reveal
            packed = pack_sums(product.output_edge, sums)
            return encode_reply(ShareReply(given, out, packed, said.salt, said.r, said.vs))

        return answer

    return make


def tampering(model: SharedModel) -> Callable[[GroupMember, PrivateKey], Answer]:
    """A member that signs the right sums and sends others."""

    def make(member: GroupMember, key: PrivateKey) -> Answer:
        def answer(data: bytes) -> bytes:
            product = model.plan.products[decode_request(data).number]
            reply = decode_reply(member.answer(data))
            packed = pack_sums(product.output_edge, changed(product, reply))
            return encode_reply(replace(reply, sums=packed))

        return answer

    return make


def changed(product: Product, reply: ShareReply, by: int = 1) -> bytes:
    """The sums of a reply, one of them `by` steps towards 0, as canonical bytes."""
    sums = unpack_sums(product.output_edge, reply.sums)
    flat = sums.reshape(-1)
    flat[-1] += -by if flat[-1] > 0 else by
    return product.output_edge.encode(sums)


def recording(answers: Mapping[Address, Answer], seen: list[bytes]) -> dict[Address, Answer]:
    """The same members, and every request that they get."""

    def record(answer: Answer) -> Answer:
        def recorded(data: bytes) -> bytes:
            seen.append(data)
            return answer(data)

        return recorded

    return {member: record(answer) for member, answer in answers.items()}


def random_inputs(model: SharedModel, seed: int) -> tuple[bytes, ...]:
    """Drawn inputs of the public model."""
    generator = np.random.default_rng(seed)
    return tuple(
        edge.encode(generator.integers(edge.low, edge.high + 1, edge.shape))
        for edge in model.plan.table.inputs
    )
