"""What peers say: each message is taken by the duty that it is for, kept for later, or refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import structlog

from nesa.privacy.envelopes import Opened
from nesa.privacy.sealing import open_input
from nesa.protocol.errors import InvalidMessage, NesaError, Unavailable
from nesa.protocol.evidence import evidence_of, verify_evidence
from nesa.protocol.faults import faults_in, statements_of
from nesa.protocol.ids import Digest
from nesa.protocol.messages import (
    Commit,
    ContentKey,
    Handoff,
    Inquiry,
    MemberMessage,
    PartRequest,
    Reveal,
    SessionReply,
    SessionRequest,
    ShardKey,
    ShardKeyRequest,
    TensorPart,
    TrainingReply,
    TrainingRequest,
)
from nesa.protocol.outcomes import prover_begins
from nesa.protocol.wire import encode_message
from nesa_miner.agreeing import Agreements
from nesa_miner.agreement.events import MessageReceived
from nesa_miner.convicting import FaultStore
from nesa_miner.duties import Duty, Place, Upstream
from nesa_miner.fetching import Fetches
from nesa_miner.jobs import JobKey
from nesa_miner.roster import Roster
from nesa_miner.surroundings import Surroundings
from nesa_miner.work import is_sealed, require_handed_input

MOST_QUERIES: Final = 1 << 63
"""Numbers of queries that the journal can hold; the chain will not get there."""

log = structlog.get_logger("nesa_miner")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes messages whose envelopes checked out."""

    around: Surroundings
    roster: Roster
    agreements: Agreements
    faults: FaultStore
    fetches: Fetches

    def receive(self, opened: Opened) -> None:
        """Take in one message whose envelope checked out.

        Raises:
            InvalidInput: it is for nothing that this miner has to do with, or not what it says.
            ExhaustedResource, Unavailable: it cannot be used yet; it may be sent again.
        """
        message = opened.message
        if isinstance(message, ShardKeyRequest | ShardKey):
            raise InvalidMessage("keys of shards are asked for where their index says")
        if isinstance(message, SessionRequest | SessionReply):
            raise InvalidMessage("products of sessions are asked for at their own path")
        if isinstance(message, TrainingRequest | TrainingReply):
            raise InvalidMessage("a split training is served by `nesa privacy serve-split`")
        context = message if isinstance(message, ContentKey) else message.context
        key = JobKey((context.query_id, context.attempt))
        if context.query_id >= MOST_QUERIES:
            raise InvalidMessage("there is no such query")
        duty = self.roster.duties.get(key)
        if duty is None:
            self._receive_unexpected(key, opened)
            return
        match message:
            case ContentKey():
                self._take_content_key(duty, opened, message)
            case Handoff():
                self._take_handoff(duty, opened, message)
            case PartRequest():
                self.fetches.serve(duty, opened.sender, message)
            case TensorPart():
                self.fetches.take(duty, opened.sender, message)
            case _:
                self._take_member_message(duty, opened, message)

    def replay(self, key: JobKey) -> None:
        """Take in what came too early."""
        for opened in self.roster.waiting.take(key):
            try:
                self.receive(opened)
            except NesaError as error:
                log.debug("message refused", query=key[0], reason=str(error))

    def _receive_unexpected(self, key: JobKey, opened: Opened) -> None:
        """Of what is over nothing is wanted; what may come is kept if it is short, or asked for.

        Members ask each other for what was lost. Content keys and hand-overs come once, so they
        are taken only where they are stored.
        """
        job = self.around.journal.job(key)
        if job is not None and not job.may_reopen:
            return
        if job is not None or isinstance(
            opened.message, ContentKey | Handoff | PartRequest | TensorPart
        ):
            raise Unavailable("this miner has no part in the attempt as far as it knows")
        self._keep_early(key, opened)

    def _keep_early(self, key: JobKey, opened: Opened) -> None:
        roster = self.roster
        roster.waiting.keep_early(key, opened, self.around.clock(), roster.duties)

    def _take_content_key(self, duty: Duty, opened: Opened, message: ContentKey) -> None:
        if not is_sealed(duty.query):
            raise InvalidMessage("an open query has no content key")
        if duty.content_key is not None:
            return
        around, wrapped = self.around, message.wrapped
        content_key = around.identity.unwrap(wrapped, around.deployment, duty.query)
        if opened.sender != duty.query.requester:
            # A contract that asks signs nothing: whoever sealed its input shows that by the key.
            open_input(content_key, duty.query.version_id, duty.sent)
        around.journal.keep_content_key(duty.key, duty.query.input_digest, wrapped)
        self.roster.update(replace(duty, content_key=content_key))

    def _take_handoff(self, duty: Duty, opened: Opened, message: Handoff) -> None:
        place = duty.place
        if place is None or duty.doubts or message.context.seed != place.context.seed:
            raise Unavailable("the draw that the hand-over is of is not known here yet")
        upstream = place.upstream(opened.sender, message)
        if upstream is None:
            raise InvalidMessage("only the committee before this one hands over to it")
        position = place.upstream_position(opened.sender)
        self._compare(place, upstream, duty.contradicted_by(position, message), message)
        if not duty.wants(position, message):
            return
        if is_sealed(duty.query) and duty.content_key is None:
            raise Unavailable("the content key is not here yet")
        begins = prover_begins(duty.query, position)
        if begins is None or begins > self.roster.chain_time:
            raise Unavailable("it is not the turn of this prover yet")
        require_handed_input(duty.task, place.facts, *upstream, message)
        body = encode_message(message)
        self.around.journal.keep_handoff(duty.key, place.context.seed, position, body)
        self.roster.update(duty.taking(position, message))

    def _compare(
        self, place: Place, upstream: Upstream, others: tuple[Handoff, ...], handoff: Handoff
    ) -> None:
        """Convict whoever signed this hand-over and one of `others`, which contradict it.

        Raises:
            InvalidMessage: it contradicts another one, and no quorum signed it.
        """
        context, members = upstream
        if not others:
            return
        if handoff.context != context:
            raise InvalidMessage("the hand-over is for another shard, attempt or seed")
        verify_evidence(context, members, len(members), evidence_of(handoff))
        statements: list[Reveal] = []
        sets: dict[Digest, tuple[Digest, ...]] = {}
        for one in (*others, handoff):
            said = statements_of(one)
            sets.update(dict.fromkeys((each.set_digest for each in said), one.commitments))
            statements += said
        self.faults.keep(place.upstream_seats(members), faults_in(len(members), statements, sets))

    def _take_member_message(self, duty: Duty, opened: Opened, message: MemberMessage) -> None:
        place = duty.place
        if place is None:
            self._keep_early(duty.key, opened)
            return
        if message.context != place.context:
            raise InvalidMessage("the message is for another shard or seed")
        if opened.sender not in place.signers:
            raise InvalidMessage("only members of the committee take part in its agreement")
        if isinstance(message, Commit):
            shard, now = place.facts.file_digest, self.around.clock()
            self.around.observed.committed(duty.key, shard, opened.sender, now)
        begun = [one for one in duty.computations if one.agreement is not None]
        if not begun:
            if not isinstance(message, Inquiry):
                self.roster.waiting.keep_from_member(duty.key, opened, self.around.clock())
            return
        position = place.signers.index(opened.sender)
        self.agreements.step(duty, begun[0], MessageReceived(position, message))
