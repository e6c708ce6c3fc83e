"""Committees for tests, and a network of virtual time between their members."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeVar

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from nesa.protocol.commitments import ShardContext, set_digest
from nesa.protocol.digests import boundary_digest
from nesa.protocol.edges import DType, EdgeType
from nesa.protocol.evidence import ShardEvidence
from nesa.protocol.ids import Address, Digest, QueryId
from nesa.protocol.locks import lock_digest
from nesa.protocol.messages import (
    Certificate,
    Commit,
    Lock,
    MemberMessage,
    Propose,
    Reveal,
)
from nesa.protocol.signatures import sign_digest
from nesa_miner.agreement import (
    Action,
    Committee,
    Dropped,
    Event,
    Journal,
    MessageReceived,
    OwnResult,
    Restarted,
    Send,
    Settled,
    Started,
    State,
    Tick,
    Timing,
    begin,
    decode_record,
    encode_record,
    next_wake,
    restore,
    step,
)
from nesa_miner.agreement.signing import own_commit, own_reveal

M = TypeVar("M", bound=MemberMessage)

EDGES = (EdgeType(DType.INT16, (1, 2), -32768, 32767),)
RIGHT = b"\x01\x00\x02\x00"
WRONG = b"\x09\x00\x09\x00"
IN_DIGEST = Digest(b"\x11" * 32)
MARKET = Address("0x" + "11" * 20)
CONTEXT = ShardContext(31337, MARKET, QueryId(7), 0, Digest(b"\x22" * 32), 0)


@cache
def key(position: int) -> PrivateKey:
    """The signer of the member at `position`."""
    return PrivateKey(keccak(b"member" + bytes([position])))


@cache
def address(position: int) -> Address:
    """The account of the member at `position`."""
    return Address(key(position).public_key.to_checksum_address())


@cache
def signature(position: int, digest: bytes) -> tuple[bytes, bytes]:
    """What the member at `position` signs `digest` with."""
    return sign_digest(key(position), digest)


def digest_of(tensors: tuple[bytes, ...]) -> Digest:
    """Output digest of the shard that all tests here run."""
    return boundary_digest(EDGES, tensors)


def committee(
    me: int, size: int = 4, timing: Timing | None = None, context: ShardContext = CONTEXT
) -> Committee:
    """The committee as its member `me` sees it."""
    members = tuple(address(position) for position in range(size))
    sign = lambda digest: signature(me, digest)  # noqa: E731
    return Committee(context, members, me, sign, digest_of, timing or Timing())


def result(output: bytes = RIGHT) -> OwnResult:
    """What a member computes: `output` is the whole output tensor."""
    return OwnResult(IN_DIGEST, digest_of((output,)), (output,))


def entropy(position: int) -> bytes:
    """The secret that a member draws."""
    return keccak(b"entropy" + bytes([position]))


def start(position: int, output: bytes = RIGHT) -> Started:
    """The event with which a member begins."""
    return Started(result(output), entropy(position))


Tamper = Callable[[int, MemberMessage], Sequence[MemberMessage]]
"""What a liar sends to one receiver in place of a message that its honest program would send."""


@dataclass
class Node:
    """One member with its journal. `tamper` makes it a liar."""

    state: State
    journal: list[bytes] = field(default_factory=list)
    settled: ShardEvidence | None = None
    settled_at: float = 0.0
    actions: list[Action] = field(default_factory=list)
    sent: list[MemberMessage] = field(default_factory=list)
    tamper: Tamper | None = None
    up: bool = True
    crash_in: int | None = None

    @property
    def me(self) -> int:
        """Its position."""
        return self.state.committee.me


Route = Callable[[int, int, MemberMessage], Sequence[float]]
"""Delays with which a message from one member to another arrives; none when it is lost."""


class World:
    """Members, and messages between them on a clock of their own."""

    def __init__(self, nodes: Sequence[Node], route: Route | None = None) -> None:
        self.nodes = {node.me: node for node in nodes}
        self.now = 0.0
        self.messages = 0
        self._route = route or (lambda *_: (0.005,))
        self._queue: list[tuple[float, int, int, Event]] = []
        self._count = 0

    def at(self, delay: float, position: int, event: Event) -> None:
        """Let `event` happen to a member in `delay` seconds."""
        self._at_time(self.now + delay, position, event)

    def _at_time(self, time: float, position: int, event: Event) -> None:
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, position, event))

    def run(self, until: float, enough: Callable[[World], bool] = lambda _: False) -> None:
        """Let everything happen up to `until`, or up to `enough`."""
        while self._queue and self._queue[0][0] <= until and not enough(self):
            self.now, _, position, event = heapq.heappop(self._queue)
            node = self.nodes[position]
            if node.up:
                self._happen(node, event)

    def _happen(self, node: Node, event: Event) -> None:
        node.state, actions = step(node.state, event, self.now)
        for action in actions:
            if node.crash_in is not None:
                node.crash_in -= 1
                if node.crash_in < 0:
                    self._crash(node)
                    return
            node.actions.append(action)
            self._perform(node, action)
        due = next_wake(node.state)
        if due is not None:
            self._at_time(max(due, self.now), node.me, Tick())

    def _perform(self, node: Node, action: Action) -> None:
        match action:
            case Journal(record):
                node.journal.append(encode_record(record))
            case Send(positions, message):
                for receiver in positions:
                    self._send(node, receiver, message)
            case Settled(evidence):
                node.settled, node.settled_at = evidence, node.settled_at or self.now
            case _:
                pass

    def _send(self, node: Node, receiver: int, message: MemberMessage) -> None:
        messages = node.tamper(receiver, message) if node.tamper else (message,)
        for sent in messages:
            node.sent.append(sent)
            self.messages += 1
            for delay in self._route(node.me, receiver, sent):
                self.at(delay, receiver, MessageReceived(node.me, sent))

    def _crash(self, node: Node) -> None:
        """Lose everything that is not in the journal and come back a little later."""
        node.crash_in = None
        records = [decode_record(data) for data in node.journal]
        node.state = replace(restore(node.state.committee, records), now=self.now)
        self.at(0.2, node.me, Restarted())
        self.at(0.3, node.me, start(node.me))  # ignored when the result was journalled


def honest(position: int, size: int = 4, timing: Timing | None = None) -> Node:
    """A member that does what it should."""
    return Node(begin(committee(position, size, timing)))


def world(size: int = 4, *, dead: Sequence[int] = (), route: Route | None = None) -> World:
    """A committee of honest members, except that some are dead; all others start at once."""
    made = World([honest(position, size) for position in range(size)], route)
    for position in range(size):
        made.nodes[position].up = position not in dead
        made.at(0.0, position, start(position))
    return made


def random_route(
    seed: int, slowest: float, loss: float, quiet_after: float, world_: World
) -> Route:
    """Random delays, losses and duplicates until `quiet_after`, then prompt delivery."""
    source = random.Random(seed)

    def route(_sender: int, _receiver: int, _message: MemberMessage) -> Sequence[float]:
        if world_.now >= quiet_after:
            return (0.005,)
        if source.random() < loss:
            return ()
        copies = 2 if source.random() < 0.1 else 1
        return [source.uniform(0.001, slowest) for _ in range(copies)]

    return route


def started(position: int, output: bytes = RIGHT, size: int = 4) -> State:
    """A member's state right after it began, at time 0."""
    return step(begin(committee(position, size)), start(position, output), 0.0)[0]


def commit_of(position: int, round_: int = 0, output: bytes = RIGHT) -> Commit:
    """The commit of a member in a round."""
    return own_commit(started(position, output), result(output), round_)


def set_of(*positions: int, round_: int = 0, wrong: Sequence[int] = ()) -> Propose:
    """A proposal of the commits of `positions`, some of them to another result."""
    outputs = {place: WRONG if place in wrong else RIGHT for place in positions}
    commits = tuple(commit_of(place, round_, outputs[place]) for place in positions)
    return Propose(CONTEXT, round_, commits)


def signed_lock(position: int, proposal: Propose, size: int = 4) -> Lock:
    """A lock by the member at `position` of the set in `proposal`."""
    digest = set_digest(proposal.context, proposal.round, proposal.commitments(size))
    r, vs = signature(position, lock_digest(proposal.context, proposal.round, digest))
    return Lock(proposal.context, proposal.round, position, digest, r, vs)


def certified(proposal: Propose, lockers: Sequence[int] = (0, 1, 2), size: int = 4) -> Certificate:
    """The certificate that these members' locks make."""
    locks = tuple(signed_lock(place, proposal, size) for place in lockers)
    return Certificate(CONTEXT, proposal.round, proposal.commitments(size), locks)


def opened(position: int, certificate: Certificate, output: bytes = RIGHT) -> Reveal:
    """The reveal of a member that committed to `output` in the certified set."""
    reveal = own_reveal(started(position, output), certificate)
    assert reveal is not None
    return reveal


def feed(
    state: State, now: float, *messages: tuple[int, MemberMessage]
) -> tuple[State, list[Action]]:
    """The state after these messages (sender, message), and all that was done."""
    actions: list[Action] = []
    for sender, message in messages:
        state, more = step(state, MessageReceived(sender, message), now)
        actions += more
    return state, actions


def sent(actions: Sequence[Action], kind: type[M]) -> list[M]:
    """The messages of one kind in `actions`."""
    return [
        action.message
        for action in actions
        if isinstance(action, Send) and isinstance(action.message, kind)
    ]


def reasons(actions: Sequence[Action]) -> list[str]:
    """Why messages were dropped."""
    return [action.reason for action in actions if isinstance(action, Dropped)]
