"""Members that lie. Each one runs the honest program and changes what leaves it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from nesa.protocol.ids import Digest
from nesa.protocol.locks import commit_digest
from nesa.protocol.messages import Commit, Lock, MemberMessage, Propose, Reveal
from tests.miner.agreement.committees import WRONG, Tamper, signature, signed_lock


def signed_commit(commit: Commit, commitment: bytes) -> Commit:
    """`commit` with another commitment, signed by its author."""
    digest = commit_digest(commit.context, commit.round, commitment)
    r, vs = signature(commit.position, digest)
    return replace(commit, commitment=Digest(commitment), r=r, vs=vs)


def without(proposal: Propose, position: int) -> Propose:
    """`proposal` without the commit of one member."""
    kept = tuple(commit for commit in proposal.commits if commit.position != position)
    return replace(proposal, commits=kept)


def silent_about(*kinds: type, to: Sequence[int] | None = None) -> Tamper:
    """Never send messages of these kinds (to these members)."""

    def tamper(receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
        hidden = isinstance(message, kinds) and (to is None or receiver in to)
        return () if hidden else (message,)

    return tamper


def two_commits(_receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
    """Commit to something else with every member."""
    if isinstance(message, Commit):
        return (signed_commit(message, bytes([_receiver + 1]) * 32),)
    return (message,)


def commit_to_one(receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
    """In every round, commit to one other member only, so that it misses the commit in the set."""
    if isinstance(message, Commit) and receiver != (message.round + 2) % 4:
        return ()
    return (message,)


def two_sets(receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
    """Show every member a set of its own, and lock each of them."""
    if not isinstance(message, Propose):
        return () if isinstance(message, Lock) else (message,)
    me = message.round % 4
    victim = next(place for place in range(4) if place not in (me, receiver))
    shown = without(message, victim)
    return (shown, signed_lock(me, shown))


def leave_out(victim: int) -> Tamper:
    """Propose sets without `victim` and then never reveal."""

    def tamper(_receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
        if isinstance(message, Reveal):
            return ()
        return (without(message, victim),) if isinstance(message, Propose) else (message,)

    return tamper


def tensors_by_receiver(receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
    """Reveal another tensor to every second member."""
    if isinstance(message, Reveal) and receiver % 2:
        return (replace(message, tensors=(WRONG,)),)
    return (message,)


def forged_signatures(_receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
    """Sign nothing properly."""
    if isinstance(message, Commit | Lock | Reveal):
        return (replace(message, r=b"\x07" * 32),)
    return (message,)


def noise(seed: int) -> Tamper:
    """Lose, repeat and bend messages at random."""
    source = random.Random(seed)

    def bent(message: MemberMessage) -> MemberMessage:
        if isinstance(message, Commit):
            return signed_commit(message, source.randbytes(32))
        if isinstance(message, Propose) and len(message.commits) > 3:
            return without(message, source.randrange(4))
        if isinstance(message, Reveal):
            return replace(message, salt=source.randbytes(32))
        return replace(message, round=message.round + source.randrange(3))

    def tamper(_receiver: int, message: MemberMessage) -> Sequence[MemberMessage]:
        made = [message if source.random() < 0.5 else bent(message)]
        return made * source.choice((0, 1, 1, 2))

    return tamper


LIES: dict[str, Callable[[int], Tamper]] = {
    "silent": lambda _: silent_about(Commit, Propose, Lock, Reveal),
    "withholds reveals": lambda _: silent_about(Reveal),
    "withholds locks": lambda _: silent_about(Lock),
    "reveals to one": lambda seed: silent_about(Reveal, to=_all_but(seed)),
    "locks to one": lambda seed: silent_about(Lock, to=_all_but(seed)),
    "two commits": lambda _: two_commits,
    "commits to one": lambda _: commit_to_one,
    "two sets": lambda _: two_sets,
    "leaves one out": lambda seed: leave_out(seed % 4),
    "tensors by receiver": lambda _: tensors_by_receiver,
    "forged signatures": lambda _: forged_signatures,
    "noise": noise,
}


def _all_but(seed: int) -> Sequence[int]:
    return [place for place in range(4) if place != seed % 4]
