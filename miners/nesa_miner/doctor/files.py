"""What the doctor tries with the shards of every seat: files, arithmetic, circuits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from nesa.chain.leaving import HeldSeat
from nesa_miner.doctor.checks import Check, Verdict, guarded
from nesa_miner.doctor.memory import allowed_bytes, check_memory, resident_bytes
from nesa_miner.shards import ShardLibrary


@dataclass(frozen=True, slots=True)
class Shards:
    """The files and the arithmetic of every seat."""

    library: ShardLibrary
    seats: tuple[HeldSeat, ...]
    memory_limit: int
    needs: list[tuple[int, int]] = field(default_factory=list, init=False)
    """Shard and the bytes that it took to load it, once they are known."""

    NAMES = ("store", "self-test", "memory", "proofs")

    async def checks(self) -> AsyncIterator[Check]:
        """All of them in order."""
        if not self.seats:
            for name in self.NAMES:
                yield Check(name, Verdict.SKIPPED, "needs a seat")
            return
        yield await guarded("store", self.check_store)
        yield await guarded("self-test", self.check_answers)
        yield check_memory(self.needs, self.memory_limit, allowed_bytes())
        yield await guarded("proofs", self.check_proofs)

    async def check_store(self) -> Check:
        """The files of every seat's shard can be had, whole."""
        for seat in self.seats:
            await self.library.known_answers(seat.version_id, seat.shard)
            await self.library.file(seat.version_id, seat.shard)
        return Check("store", Verdict.OK, f"{len(self.seats)} shards are whole")

    async def check_answers(self) -> Check:
        """This machine computes what every machine computes."""
        for seat in self.seats:
            before = resident_bytes()
            await self.library.runner(seat.version_id, seat.shard)
            self.needs.append((seat.shard, max(resident_bytes() - before, 0)))
        return Check("self-test", Verdict.OK, "every known answer came out")

    async def check_proofs(self) -> Check:
        """Circuits match the chain and may be used on it; keys are made by `register`."""
        provable = 0
        for seat in self.seats:
            facts = await self.library.facts(seat.version_id, seat.shard)
            if any(facts.circuit_digest):
                await self.library.circuit(seat.version_id, seat.shard)
                provable += 1
        return Check("proofs", Verdict.OK, f"{provable} of {len(self.seats)} shards provable")
