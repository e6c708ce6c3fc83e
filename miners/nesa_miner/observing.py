"""How long the members of this miner's committees take, from the moment it began itself.

Nobody needs a peer's word for it: the time from the own beginning to the peer's first commitment is
the peer's run, the way, and by how much the two began apart. All members of a shard are watched
alike, so what they share cancels out when one is held against the others. Everything is bounded,
and nothing outlives the process.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final, TypeVar

from nesa.models.placement.observed import (
    Finding,
    Observation,
    Verdict,
    find_overstated,
)
from nesa.protocol.ids import Address, Digest
from nesa_miner.jobs import JobKey

MOST_ATTEMPTS: Final = 1024
MOST_SHARDS: Final = 32
MOST_PEERS: Final = 64
MOST_RUNS: Final = 16

SHORTEST: Final = 1e-3
"""Seconds of a peer that was ready before this miner began."""

NOISE: Final = 0.25
"""Seconds by which members begin apart, since each reads the chain when it does."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Attempt:
    shard: Digest
    began: float | None = None
    seen: set[Address] = field(default_factory=set)


@dataclass(slots=True)
class ObservedTimes:
    """Seconds of the newest runs of each peer, by the digest of the shard's file."""

    _attempts: OrderedDict[JobKey, _Attempt] = field(default_factory=OrderedDict)
    _shards: OrderedDict[Digest, OrderedDict[Address, deque[float]]] = field(
        default_factory=OrderedDict
    )
    _told: frozenset[tuple[Digest, Address]] = frozenset()

    def begin(self, key: JobKey, shard: Digest, now: float) -> None:
        """This miner begins to compute; whoever committed already was quick."""
        attempt = self._attempt(key, shard)
        if attempt.began is None:
            attempt.began = now
            for peer in attempt.seen:
                self._add(shard, peer, SHORTEST)

    def committed(self, key: JobKey, shard: Digest, peer: Address, now: float) -> None:
        """A member committed to a result; only its first time in an attempt counts.

        Of an attempt that this miner has not begun, in this life of the process, nothing is known.
        """
        attempt = self._attempt(key, shard)
        if peer in attempt.seen or len(attempt.seen) >= MOST_PEERS:
            return
        attempt.seen.add(peer)
        if attempt.began is not None:
            self._add(shard, peer, max(SHORTEST, now - attempt.began))

    @property
    def seconds(self) -> Mapping[Digest, Mapping[Address, tuple[float, ...]]]:
        """The newest runs, oldest first."""
        return {
            shard: {peer: tuple(runs) for peer, runs in peers.items()}
            for shard, peers in self._shards.items()
        }

    def medians(self) -> Mapping[tuple[Digest, Address], float]:
        """Seconds of the median run of every peer of every shard."""
        return {
            (shard, peer): median(runs)
            for shard, peers in self._shards.items()
            for peer, runs in peers.items()
        }

    def slow(self) -> Mapping[tuple[Digest, Address], Finding]:
        """Who takes far longer than the others who sit in the same shard.

        Whoever takes a seat claims to serve its shard as the others do: no capacity is known here.
        """
        return {
            (shard, Address(peer)): finding
            for shard, peers in self._shards.items()
            for peer, finding in find_overstated(_alike(peers)).items()
            if finding.verdict is Verdict.OVERSTATED
        }

    def newly_slow(self) -> Mapping[tuple[Digest, Address], Finding]:
        """Those of `slow` that were not among them when this was asked before."""
        slow = self.slow()
        new = {who: finding for who, finding in slow.items() if who not in self._told}
        self._told = frozenset(slow)
        return new

    def _attempt(self, key: JobKey, shard: Digest) -> _Attempt:
        return _kept(self._attempts, key, _Attempt(shard), MOST_ATTEMPTS)

    def _add(self, shard: Digest, peer: Address, seconds: float) -> None:
        peers = _kept(self._shards, shard, OrderedDict(), MOST_SHARDS)
        _kept(peers, peer, deque(maxlen=MOST_RUNS), MOST_PEERS).append(seconds)


def _alike(peers: Mapping[Address, deque[float]]) -> dict[str, list[Observation]]:
    """Runs held against one prediction for all: the usual time, and what is by chance."""
    times = sorted(median(runs) for runs in peers.values())
    usual = times[(len(times) - 1) // 2]
    return {peer: [Observation(usual + NOISE, run) for run in runs] for peer, runs in peers.items()}


def _kept(entries: OrderedDict[K, V], key: K, new: V, most: int) -> V:
    """The entry of `key`, made when there is none; what was used longest ago makes room."""
    found = entries.setdefault(key, new)
    entries.move_to_end(key)
    while len(entries) > most:
        entries.popitem(last=False)
    return found
