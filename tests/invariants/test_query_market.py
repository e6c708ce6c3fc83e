"""The whole protocol against books kept in Python, over random lives of its queries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from enum import IntEnum
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from nesa.protocol.commitments import quorum
from nesa.protocol.digests import boundary_digest
from nesa.protocol.fees import base_fee, billed_gas, split_fee
from nesa.protocol.ids import ONE_NES, ZERO_DIGEST, Amount, BlockNumber, Timestamp
from nesa.protocol.outcomes import MAX_ATTEMPTS, oracle_turn, outcome_from_abi
from nesa.protocol.parameters import QueryParameters
from nesa.protocol.queries import (
    ORACLE_SHARD,
    Assurance,
    CallbackResult,
    Outcome,
    Privacy,
    Query,
    QueryStatus,
    ShardReport,
    report_words,
)
from nesa.protocol.slashing import credited
from tests.deployment import (
    EPOCH_SECONDS,
    GENESIS_SUPPLY,
    MAXIMUM_QUERY_SECONDS,
    QUERY_PARAMETERS,
    REQUEST_LIMITS,
    UNBONDING_SECONDS,
)
from tests.invariants.market_books import Credits, QueryBook, VersionShares
from tests.invariants.market_world import (
    BENEFICIARY,
    CLINIC,
    COURT,
    DEVELOPER,
    OWNER,
    PERSONS,
    REVIEWERS,
    STRANGER,
    TREASURIES,
    MarketWorld,
)
from tests.market import CREDIT_WINDOW, TENSORS, edges
from tests.reports import Work, shard_works, signer_address
from tests.revm import Revert, RevmChain

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
HASH_BLOCKS = 256
HOSTILE_GAS = 900_000
CIPHERTEXT, SEALED_ANSWER = b"sealed question", b"sealed answer"
REFUSAL = r"^(market|committee|vault|registry|router|erc20|triage|consumer): "


class Temper(IntEnum):
    """What the harness `HostileConsumer` does in its callback."""

    KIND = 1
    REVERTS = 2
    BURNS_GAS = 4
    CALLS_BACK = 8
    ASKS_AGAIN = 16


class Doom(IntEnum):
    """What is wrong with a report."""

    TOO_FEW = 0
    TWICE = 1
    UNSORTED = 2
    OTHER_OUTPUT = 3
    OTHER_TERMS = 4
    OTHER_ATTEMPT = 5
    OTHER_MARKET = 6
    WRONG_SENDER = 7
    ANOTHER_SIGNER = 8
    NOT_COMMITTED = 9


PROFILES = (
    QUERY_PARAMETERS,
    QueryParameters(3_333, 1_111, 0, 777, 7, 2, 20, 3, 60, 100, 33, 40, 15),
    QueryParameters(8_000, 0, 0, 0, 20, 3, 20, 1, 100, 30, 120, 60, 20),
)

ENDS = ("claim", "claim", "close", "deliver", "hold", "hold", "overturn", "release", "withdraw")

picks = st.integers(0, 7)
counts = st.sampled_from((1, 2))
prices = st.integers(0, 3 * ONE_NES) | st.sampled_from((1, 7, 90 * ONE_NES))
amounts = st.integers(0, 3 * REQUEST_LIMITS.seat_stake)


class QueryMarketMachine(RuleBasedStateMachine):
    """Every rule acts on chain and books alike, or expects the chain to refuse."""

    calls: ClassVar[Counter[str]] = Counter()
    chain_type: ClassVar[type[RevmChain]] = RevmChain

    @initialize()
    def deploy(self) -> None:
        self.world = MarketWorld(self.chain_type())
        self.market, self.token, self.vault = self.world.market, self.world.token, self.world.vault
        self.chain = self.world.chain
        self.books: dict[int, QueryBook] = {}
        self.credits = Credits(CREDIT_WINDOW)
        self.shares: dict[bytes, VersionShares] = defaultdict(VersionShares)
        self.prices = dict.fromkeys(self.all_versions, (int(ONE_NES), 5 * ONE_NES))
        self.treasury = TREASURIES[0]
        self.pinned: set[int] = set()
        self.stakes = {owner: self.vault.ledger(owner)[0] for owner in self.world.places}
        self.holds = dict.fromkeys(self.world.places, 0)
        self.rewards = self.burned = self.market_gifts = self.vault_gifts = 0
        self.minted = 0
        self.temper = Temper.KIND
        self.world.hostile.behave(Temper.KIND)

    # Seeing

    @property
    def all_versions(self) -> list[bytes]:
        return [*self.world.versions.values(), *self.world.proved.values()]

    @property
    def now(self) -> int:
        return self.chain.timestamp

    @property
    def total_owed(self) -> int:
        open_and_unclaimed = sum(book.earmark for book in self.books.values())
        return open_and_unclaimed + self.credits.total + sum(s.total for s in self.shares.values())

    def open_fees(self, version_id: bytes) -> int:
        books = (b for b in self.books.values() if b.query.version_id == version_id)
        exposed = (b for b in books if b.query.assurance is not Assurance.PROVED)
        return sum(b.query.fee for b in exposed if b.status is QueryStatus.OPEN)

    def pick(self, index: int, *statuses: QueryStatus) -> QueryBook | None:
        """One of the latest queries that stand so, or of all."""
        books = [b for b in self.books.values() if not statuses or b.status in statuses]
        return books[-1 - index % len(books)] if books else None

    def pick_unsettled(self, index: int) -> QueryBook | None:
        """An answered query, one with unpaid slots if there is one."""
        books = [b for b in self.books.values() if b.status is QueryStatus.FULFILLED and b.unpaid]
        if books:
            return books[-1 - index % len(books)]
        return self.pick(index, QueryStatus.FULFILLED, QueryStatus.FINAL)

    def expect(self, allowed: bool, call: Callable[..., Any], *arguments: Any, **options: Any):
        """Result of the call; it must succeed exactly when `allowed`."""
        self.calls[f"{call.__name__} {'done' if allowed else 'refused'}"] += 1
        if allowed:
            return call(*arguments, **options)
        with pytest.raises(Revert, match=REFUSAL):
            call(*arguments, **options)
        return None

    # Clients

    @rule(
        person=st.sampled_from(PERSONS),
        shards=counts,
        replicas=st.sampled_from((2, 3, 4, 4, 4, 7, 9)),
        privacy=st.sampled_from((Privacy.OPEN, Privacy.SEALED)),
        assurance=st.sampled_from((Assurance.AGREED, Assurance.CHALLENGED)),
        callback_gas=st.sampled_from((0, 100_001)),
        spare=st.sampled_from((0, 0, 0, 1, -1)),
    )
    def ask(
        self,
        person: str,
        shards: int,
        replicas: int,
        privacy: Privacy,
        assurance: Assurance = Assurance.AGREED,
        callback_gas: int = 0,
        spare: int = 0,
    ) -> None:
        order = self.order(shards, replicas, privacy, assurance, callback_gas)
        fee = self.price(order, shards)
        order["max_fee"] = max(fee + spare, 0)
        sealed = privacy is Privacy.SEALED
        order["input_digest"] = self.input_digest(shards) if sealed else ZERO_DIGEST
        allowed = self.is_offered(order, shards) and spare >= min(0, -fee)
        allowed = allowed and order["max_fee"] >= fee
        data = CIPHERTEXT if sealed else TENSORS[shards][0]
        call = (tuple(order.values()), data)
        self.expect(allowed, self.market.request, *call, sender=person)
        if allowed:
            self.note_request(person, fee)

    @rule(person=st.sampled_from(PERSONS), shards=counts)
    def ask_for_proofs(self, person: str, shards: int) -> None:
        order = self.order(shards, 1, Privacy.OPEN, Assurance.PROVED)
        fee = self.price(order, shards)
        allowed = self.is_offered(order, shards)
        call = (tuple(order.values()), TENSORS[shards][0])
        self.expect(allowed, self.market.request, *call, sender=person)
        if allowed:
            self.note_request(person, fee)

    @rule(temper=st.sampled_from(Temper))
    def behave(self, temper: Temper) -> None:
        self.temper = temper
        self.world.hostile.behave(int(temper))

    @rule(shards=counts, temper=st.sampled_from(Temper), case=st.integers(1, 60))
    def ask_by_contract(self, shards: int, temper: Temper, case: int) -> None:
        if case % 2:
            self.ask_by_register(case)
        else:
            self.behave(temper)
            self.ask_by_hostile_contract(shards, Assurance(1 + (case % 4 == 0)))

    def ask_by_hostile_contract(self, shards: int, assurance: Assurance) -> None:
        order = self.order(shards, 4, Privacy.OPEN, assurance, HOSTILE_GAS)
        fee, allowed = self.price(order, shards), self.is_offered(order, shards)
        data = TENSORS[shards][0]
        self.expect(allowed, self.world.hostile.ask, tuple(order.values()), data)
        if allowed:
            self.note_request(self.world.hostile.address, fee)

    def ask_by_register(self, case: int) -> None:
        case_id = case.to_bytes(32, "big")
        order = self.order(2, 4, Privacy.OPEN, callback_gas=150_000)
        fee, register = self.price(order, 2), self.world.register
        is_new = register.cases(case_id)[0] == 0
        allowed = is_new and self.is_offered(order, 2)
        call = (case_id, TENSORS[2][0], fee)
        self.expect(allowed, register.ask_triage, *call, sender=CLINIC)
        if allowed:
            self.note_request(register.address, fee)

    def order(
        self,
        shards: int,
        replicas: int,
        privacy: Privacy,
        assurance: Assurance = Assurance.AGREED,
        callback_gas: int = 0,
    ) -> dict[str, Any]:
        proved = assurance is Assurance.PROVED
        versions = self.world.proved if proved else self.world.versions
        return {
            "version_id": versions[shards],
            "assurance": assurance,
            "privacy": privacy,
            "replicas": replicas,
            "max_fee": 10_000 * ONE_NES,
            "callback_gas": callback_gas,
            "input_digest": ZERO_DIGEST,
        }

    def input_digest(self, shards: int) -> bytes:
        return boundary_digest([edges(shards)[0]], [TENSORS[shards][0]])

    def price(self, order: dict[str, Any], shards: int) -> int:
        price, proof_price = self.prices[order["version_id"]]
        fee = base_fee(price, shards, order["replicas"])
        proof_fee = proof_price * shards if order["assurance"] is Assurance.PROVED else 0
        gas = billed_gas(order["assurance"], order["callback_gas"])
        return fee + proof_fee + REQUEST_LIMITS.callback_price * gas // 1_000

    def is_offered(self, order: dict[str, Any], shards: int) -> bool:
        """Whether rules, seats and the exposure cap let the order in."""
        replicas, version_id = order["replicas"], order["version_id"]
        proved = order["assurance"] is Assurance.PROVED
        if not proved and not 3 <= replicas <= REQUEST_LIMITS.max_replicas:
            return False
        counts = self.vault.active_counts(version_id, shards)
        seated = [counts >> 24 * shard & 0xFFFFFF for shard in range(shards)]
        if min(seated) < max(REQUEST_LIMITS.min_seats, replicas) or not counts >> 192:
            return False
        if proved:
            return True
        repayable = REQUEST_LIMITS.seat_stake * quorum(replicas)
        fee = self.price(order, shards)
        cap = repayable * REQUEST_LIMITS.exposure_bps // 10_000
        return self.open_fees(version_id) + fee <= cap

    def note_request(self, requester: str, fee: int) -> None:
        """Takes what the last transaction announced into the books."""
        (event,) = self.world.events("QueryRequested")
        query = Query.from_abi(event["query"])
        assert event["query_id"] == query.query_id == len(self.books) + 1
        assert query.requester == requester
        assert query.fee == fee
        self.books[query.query_id] = QueryBook(query)
        self.calls[f"asked by {'a contract' if requester not in PERSONS else 'a person'}"] += 1
        if query.query_id % 4:
            self.chain.mine(2, 2)

    @rule(index=picks, impostor=st.sampled_from((False, False, True)), patient=st.booleans())
    def retry(self, index: int, impostor: bool, patient: bool) -> None:
        book = self.pick(index, QueryStatus.OPEN) if patient else self.pick(index)
        if book is None:
            return
        if book.status is QueryStatus.OPEN:
            self.wait_until(book.query.answer_deadline + patient)
        query = book.query
        impostor = impostor or query.requester not in PERSONS  # contracts send no transactions
        sender = STRANGER if impostor else query.requester
        late = self.now > query.answer_deadline
        forgotten = self.chain.number > query.seed_block + HASH_BLOCKS
        gone = forgotten and query.seed_block not in self.pinned
        rules = query.rules
        ends_by = self.now + rules.answer_window + max(rules.claim_window, rules.dispute_window)
        fits = ends_by <= query.epoch * EPOCH_SECONDS + MAXIMUM_QUERY_SECONDS
        allowed = book.status is QueryStatus.OPEN and not impostor and (late or gone) and fits
        allowed = allowed and query.attempt + 1 < MAX_ATTEMPTS
        self.expect(allowed, self.market.retry, query.as_abi(), sender=sender)
        if allowed:
            self.note_attempt(book)

    def note_attempt(self, book: QueryBook) -> None:
        (event,) = self.world.events("AttemptOpened")
        again = Query.from_abi(event["query"])
        expected = replace(
            book.query,
            opened_at=Timestamp(self.now),
            answer_deadline=Timestamp(self.now + book.query.rules.answer_window),
            attempt=book.query.attempt + 1,
            seed_block=BlockNumber(self.chain.number + 1),
        )
        assert again == expected
        book.query = again

    # Oracles

    @rule(
        index=picks,
        left_out=st.sets(st.integers(0, 6), max_size=2),
        absent=st.sets(st.integers(0, 6), max_size=1),
        round_=st.sampled_from((0, 0, 1)),
        prover=st.sampled_from((0, 0, 1, 2)),
    )
    def fulfil(
        self, index: int, left_out: set[int], absent: set[int], round_: int, prover: int
    ) -> None:
        book = self.pick(index, QueryStatus.OPEN)
        if book is not None:
            self.report(book, left_out, absent, round_, prover)

    @rule(
        client=st.integers(0, 4),
        shards=counts,
        replicas=st.sampled_from((3, 4, 7)),
        case=st.integers(1, 60),
        temper=st.sampled_from(Temper),
        left_out=st.sets(st.integers(0, 6), max_size=2),
        ends=st.lists(st.sampled_from(ENDS), max_size=5),
    )
    def live(
        self,
        client: int,
        shards: int,
        replicas: int,
        case: int,
        temper: Temper,
        left_out: set[int],
        ends: list[str],
    ) -> None:
        """A query's whole life in one step, so that every run has some."""
        before = len(self.books)
        if client == 4:
            self.ask(PERSONS[0], shards, replicas, Privacy.OPEN, Assurance.CHALLENGED, 100_001)
        elif client == 3:
            self.ask_for_proofs(PERSONS[0], shards)
        elif client:
            self.ask(PERSONS[0], shards, replicas, Privacy(client))
        else:
            self.ask_by_contract(shards, temper, case)
        self.chain.mine(2, 2)
        if len(self.books) > before:
            book = self.books[before + 1]
            self.report(book, left_out, set(), 0, 0)
            for end in ends:
                self.end(book, end)

    def end(self, book: QueryBook, end: str) -> None:
        if end == "claim":
            self.claim(book, len(self.books) % book.query.shards, again=False)
        elif end == "close":
            self.wait_until(book.closes_at + 1)
            self.return_unclaimed(book)
        elif end == "deliver":
            self.wait_until(book.closes_at + 1)
            self.deliver_one(book)
        elif end == "hold":
            self.hold_one(book, self.now % book.query.shards)
        elif end == "release":
            self.release_one(book, min(book.aside, default=0))
        elif end == "overturn":
            self.overturn_one(book, min(book.aside, default=0))
        else:
            self.wait_until((self.now // CREDIT_WINDOW + 2) * CREDIT_WINDOW)
            reporter = book.outcome.reporter if book.outcome else STRANGER
            self.withdraw_for(self.world.owners.get(reporter, reporter))

    @rule(index=picks)
    def fulfil_again(self, index: int) -> None:
        book = self.pick(index, QueryStatus.FULFILLED, QueryStatus.FINAL, QueryStatus.REFUNDED)
        if book is not None:
            self.report(book, set(), set(), 0, 0)

    def report(
        self, book: QueryBook, left_out: set[int], absent: set[int], round_: int, prover: int
    ) -> None:
        query = book.query
        missing, gone = self.missing_of(query, left_out, absent)
        works = self.works(query, round_, prover)
        reports = self.reports(works, query, missing, gone, prover)
        oracle = self.oracle(query)
        allowed = self.is_answerable(book) and self.has_begun(query, prover)
        self.prepare_return_calls(book, reports)
        self.send_report(allowed, query, reports, oracle)
        if allowed:
            self.note_answer(book, works, gone, oracle)

    def missing_of(
        self, query: Query, left_out: set[int], absent: set[int]
    ) -> tuple[set[int], tuple[int, ...]]:
        """Who is not in the report, and who of them is not even in the set; a quorum is left."""
        bound = query.replicas - quorum(query.replicas)
        gone = sorted({p % query.replicas for p in absent})[:bound]
        out = sorted({p % query.replicas for p in left_out} - set(gone))
        return {*gone, *out[: bound - len(gone)]}, tuple(gone)

    def is_answerable(self, book: QueryBook) -> bool:
        query, number = book.query, self.chain.number
        on_time = self.now <= query.answer_deadline and number > query.seed_block
        is_known = number - query.seed_block <= HASH_BLOCKS or query.seed_block in self.pinned
        return book.status is QueryStatus.OPEN and on_time and is_known

    def has_begun(self, query: Query, prover: int) -> bool:
        if query.assurance is not Assurance.PROVED:
            return True
        begins = query.opened_at + prover * query.rules.prover_turn
        return prover < query.rules.prover_turns and self.now >= begins

    def works(self, query: Query, round_: int, prover: int) -> list[Work]:
        """What honest committees did; spares of provers are members as well."""
        tensors, types = TENSORS[query.shards], edges(query.shards)
        pairs = zip(types[1:], tensors[1:], strict=True)
        digests = [boundary_digest([edge], [tensor]) for edge, tensor in pairs]
        wanted = prover + 1 if query.assurance is Assurance.PROVED else query.replicas
        signers = [self.world.drawn(query, shard, wanted) for shard in range(query.shards)]
        committees = [[self.world.keys[signer] for signer in drawn] for drawn in signers]
        rest = (self.world.seed(query), committees, digests, self.answer(query))
        works = shard_works(self.chain.chain_id, self.market.address, query, *rest)
        return [replace(work, round=round_) for work in works]

    def answer(self, query: Query) -> bytes:
        return SEALED_ANSWER if query.privacy is Privacy.SEALED else TENSORS[query.shards][-1]

    def reports(
        self,
        works: list[Work],
        query: Query,
        missing: set[int],
        gone: tuple[int, ...],
        prover: int,
    ) -> list[ShardReport]:
        if query.assurance is Assurance.PROVED:
            return [self.prover_report(work, prover) for work in works]
        signers = [p for p in range(query.replicas) if p not in missing]
        return [work.report(signers, gone) for work in works]

    def prover_report(self, work: Work, prover: int) -> ShardReport:
        """A report with the set of one that the prover at that place makes."""
        commitments = work.commitments()[prover : prover + 1]
        result = work.result(prover, commitments)
        return ShardReport(work.round, work.out_digest, commitments, (result,))

    def oracle(self, query: Query) -> str:
        """Who may report now: the oracle of the turn, or anybody."""
        turn = oracle_turn(query, self.now)  # type: ignore[arg-type]
        if turn is None:
            return STRANGER
        drawn = self.world.drawn(query, ORACLE_SHARD, turn + 1)
        return drawn[turn] if len(drawn) > turn else STRANGER

    def send_report(
        self, allowed: bool, query: Query, reports: list[ShardReport], sender: str
    ) -> None:
        output, sent = self.answer(query), report_words(reports)
        if query.assurance is Assurance.PROVED:
            given = (output, [*TENSORS[query.shards][:-1]], self.world.proofs(query.shards))
            call = self.market.fulfil_proved
            self.expect(allowed, call, query.as_abi(), sent, *given, sender=sender)
        else:
            call = self.market.fulfil
            self.expect(allowed, call, query.as_abi(), sent, output, sender=sender)

    def prepare_return_calls(self, book: QueryBook, reports: list[ShardReport]) -> None:
        """What a hostile consumer tries in its callback: to be answered or refunded again."""
        hostile = self.world.hostile
        if book.query.requester != hostile.address or self.temper is not Temper.CALLS_BACK:
            return
        query, function = book.query.as_abi(), self.world.interface.function
        sent = report_words(reports)
        again = (query, sent, self.answer(book.query))
        calls = [function("fulfil", 3).encode(again), function("refund", 1).encode([query])]
        if book.outcome is not None:
            given = (query, book.outcome_abi(), self.answer(book.query))
            calls[0] = function("deliver", 3).encode(given)
        calls += [function("retry", 1).encode([query])]
        calls += [function("withdraw", 1).encode([hostile.address])]
        hostile.prepare(calls)

    def note_answer(
        self, book: QueryBook, works: list[Work], gone: tuple[int, ...], oracle: str
    ) -> None:
        (event,) = self.world.events("QueryFulfilled")
        outcome = outcome_from_abi(event["outcome"])
        book.answered(outcome, works, gone)
        self.note_earnings(book, outcome, oracle)
        self.note_callback(book.query, CallbackResult(event["callback"]))

    def note_earnings(self, book: QueryBook, outcome: Outcome, oracle: str) -> None:
        query, split = book.query, split_fee(book.query)
        for work, shard in zip(book.works, outcome.shards, strict=True):
            for position, key in enumerate(work.members):
                if shard.paid >> position & 1:
                    owner = self.world.owners[signer_address(key)]
                    self.credits.earn(owner, split.slot, self.now)
        payee = self.world.owners.get(oracle, oracle)
        assert outcome.reporter == oracle
        self.credits.earn(payee, split.oracle, self.now)
        shares = self.shares[query.version_id]
        shares.royalty += split.royalty
        shares.reviewers += split.reviewers
        shares.treasury += split.treasury

    def note_callback(self, query: Query, result: CallbackResult) -> None:
        self.calls[f"callback {result.name}"] += 1
        hostile = self.world.hostile.address
        waits = (
            query.assurance is Assurance.CHALLENGED and not self.books[query.query_id].deliveries
        )
        if query.requester in PERSONS or not query.callback_gas or waits:
            assert result is CallbackResult.SKIPPED
        elif query.requester == hostile:
            self.note_hostile_callback(query, result)
        else:
            assert result is CallbackResult.SUCCEEDED

    def note_hostile_callback(self, query: Query, result: CallbackResult) -> None:
        """What the hostile consumer did while it was called."""
        hostile = self.world.hostile.address
        if self.temper is Temper.CALLS_BACK:
            self.credits.take(hostile, self.now)
        asked = [Query.from_abi(e["query"]) for e in self.world.events("QueryRequested")]
        assert len(asked) == (
            self.temper is Temper.ASKS_AGAIN and result is CallbackResult.SUCCEEDED
        )
        for again in asked:
            self.books[again.query_id] = QueryBook(again)
        fails = self.temper in (Temper.REVERTS, Temper.BURNS_GAS)
        may_fail = fails or self.temper is Temper.ASKS_AGAIN
        assert result is (CallbackResult.REVERTED if fails else result)
        assert may_fail or result is CallbackResult.SUCCEEDED

    @rule(index=picks, doom=st.sampled_from(Doom), victim=st.integers(0, 1))
    def report_in_vain(self, index: int, doom: Doom, victim: int) -> None:
        book = self.pick(index, QueryStatus.OPEN)
        if book is None or book.query.assurance is Assurance.PROVED:
            return
        query, works = book.query, self.works(book.query, 0, 0)
        reports, sender = [work.report() for work in works], self.oracle(query)
        at = victim % query.shards
        query, reports, sender, output = self.doomed(doom, query, works, reports, at, sender)
        sent = report_words(reports)
        self.calls[f"doomed {doom.name}"] += 1
        self.expect(False, self.market.fulfil, query.as_abi(), sent, output, sender=sender)

    def doomed(
        self,
        doom: Doom,
        query: Query,
        works: list[Work],
        reports: list[ShardReport],
        at: int,
        sender: str,
    ) -> tuple[Query, list[ShardReport], str, bytes]:
        output = self.answer(query)
        if doom is Doom.OTHER_OUTPUT:
            output = output[:-1] + bytes([output[-1] ^ 1])
        elif doom is Doom.OTHER_TERMS:
            query = replace(query, base_fee=Amount(query.base_fee + 1))
        elif doom is Doom.OTHER_ATTEMPT:
            query = replace(query, attempt=query.attempt + 1)
        elif doom is Doom.WRONG_SENDER:
            sender = self.not_in_turn(query, sender)
            if sender == STRANGER and self.oracle(query) == STRANGER:
                reports = []
        else:
            reports[at] = self.doomed_report(doom, works[at], reports[at])
        return query, reports, sender, output

    def not_in_turn(self, query: Query, right: str) -> str:
        """An oracle whose turn it is not; a stranger's turn comes after all."""
        others = [s for s in self.world.drawn(query, ORACLE_SHARD, 4) if s != right]
        return STRANGER if right == STRANGER or not others else others[0]

    def doomed_report(self, doom: Doom, work: Work, report: ShardReport) -> ShardReport:
        results = report.results
        if doom is Doom.TOO_FEW:
            return replace(report, results=results[: quorum(len(work.members)) - 1])
        if doom is Doom.TWICE:
            return replace(report, results=(results[0], results[0], *results[2:]))
        if doom is Doom.UNSORTED:
            return replace(report, results=(results[1], results[0], *results[2:]))
        if doom is Doom.OTHER_MARKET:
            context = replace(work.context, market=STRANGER)  # type: ignore[arg-type]
            return replace(work, context=context).report()
        if doom is Doom.ANOTHER_SIGNER:
            return replace(report, results=(replace(results[0], position=1), *results[2:]))
        return replace(report, results=(replace(results[0], salt=bytes(32)), *results[1:]))

    # Members and everybody

    @rule(index=picks, shard=st.integers(0, 1), again=st.sampled_from((False, False, True)))
    def claim_slot(self, index: int, shard: int, again: bool) -> None:
        book = self.pick_unsettled(index)
        if book is not None:
            self.claim(book, shard % book.query.shards, again)

    def claim(self, book: QueryBook, at: int, again: bool) -> None:
        position = self.claimable(book, at, again)
        commitments = book.works[at].commitments(book.absent)
        allowed = self.is_claimable(book, at, position)
        self.send_claim(allowed, book, at, position, commitments)
        if allowed:
            owner = self.world.owners[signer_address(book.works[at].members[position])]
            (event,) = self.world.events("SlotClaimed")
            assert event["operator"] == owner
            assert event["amount"] == split_fee(book.query).slot
            book.claimed(at, position)
            self.credits.earn(owner, event["amount"], self.now)

    def claimable(self, book: QueryBook, shard: int, again: bool) -> int:
        """A place that the report left out, or one that is paid."""
        left = [p for s, p in sorted(book.unpaid) if s == shard and p not in book.absent]
        return left[0] if left and not again else 0

    def is_claimable(self, book: QueryBook, shard: int, position: int) -> bool:
        is_left = (shard, position) in book.unpaid and position not in book.absent
        is_standing = book.status is QueryStatus.FULFILLED and not book.is_held
        return is_left and is_standing and self.now <= book.closes_at

    def send_claim(
        self,
        allowed: bool,
        book: QueryBook,
        shard: int,
        position: int,
        commitments: tuple[bytes, ...],
    ) -> None:
        result = book.works[shard].result(position, commitments).as_abi()
        call = (book.query.as_abi(), book.outcome_abi(), shard, commitments, result)
        self.expect(allowed, self.market.claim_slot, *call, sender=STRANGER)

    @rule(index=picks, patient=st.booleans())
    def close(self, index: int, patient: bool) -> None:
        book = self.pick_unsettled(index)
        if book is None:
            return
        self.wait_until(book.closes_at + patient)
        self.return_unclaimed(book)

    def return_unclaimed(self, book: QueryBook) -> None:
        waits = book.query.assurance is Assurance.CHALLENGED
        allowed = self.is_over(book) and bool(book.unpaid) and not waits
        call = (book.query.as_abi(), book.outcome_abi())
        self.expect(allowed, self.market.close, *call, sender=STRANGER)
        if allowed:
            (event,) = self.world.events("QueryClosed")
            assert event["returned_to_requester"] == book.ended(QueryStatus.FINAL)
            self.credits.give_back(book.query.requester, event["returned_to_requester"])

    def is_over(self, book: QueryBook) -> bool:
        """Whether an answer's windows have passed, and nothing came of them yet."""
        passed = self.now > book.closes_at and not book.is_held
        return book.status is QueryStatus.FULFILLED and passed

    @rule(index=picks, patient=st.booleans())
    def deliver(self, index: int, patient: bool) -> None:
        answered = [b for b in self.books.values() if b.outcome is not None]
        waiting = [b for b in answered if b.query.assurance is Assurance.CHALLENGED] or answered
        if waiting:
            book = waiting[-1 - index % len(waiting)]
            self.wait_until(book.closes_at + patient)
            self.deliver_one(book)

    def deliver_one(self, book: QueryBook) -> None:
        allowed = self.is_over(book) and book.query.assurance is Assurance.CHALLENGED
        self.prepare_return_calls(book, [])
        call = (book.query.as_abi(), book.outcome_abi(), self.answer(book.query))
        self.expect(allowed, self.market.deliver, *call, sender=STRANGER)
        if not allowed:
            return
        (closed,), (event,) = self.world.events("QueryClosed"), self.world.events("QueryDelivered")
        delivery = split_fee(book.query).delivery
        assert closed["returned_to_requester"] + delivery == book.ended(QueryStatus.FINAL)
        book.deliveries += 1
        self.credits.give_back(book.query.requester, closed["returned_to_requester"])
        self.credits.earn(STRANGER, delivery, self.now)
        self.note_callback(book.query, CallbackResult(event["callback"]))

    @rule(index=picks, patient=st.booleans())
    def refund(self, index: int, patient: bool) -> None:
        book = self.pick(index, QueryStatus.OPEN) if patient else self.pick(index)
        if book is None:
            return
        if book.status is QueryStatus.OPEN:
            self.wait_until(book.query.answer_deadline + patient)
        late = self.now > book.query.answer_deadline
        allowed = book.status is QueryStatus.OPEN and late
        self.expect(allowed, self.market.refund, book.query.as_abi(), sender=STRANGER)
        if allowed:
            (event,) = self.world.events("QueryRefunded")
            assert event["amount"] == book.ended(QueryStatus.REFUNDED) == book.query.fee
            self.credits.give_back(book.query.requester, event["amount"])

    @rule(index=picks)
    def pin_seed(self, index: int) -> None:
        book = self.pick(index, QueryStatus.OPEN)
        if book is None:
            return
        age = self.chain.number - book.query.seed_block
        allowed = 0 < age <= HASH_BLOCKS
        self.expect(allowed, self.market.pin_seed, book.query.seed_block, sender=STRANGER)
        if allowed:
            self.pinned.add(book.query.seed_block)

    @rule(data=st.data(), windows=st.integers(0, 2), early=st.booleans())
    def withdraw(self, data: st.DataObject, windows: int, early: bool) -> None:
        self.wait_until((self.now // CREDIT_WINDOW + windows) * CREDIT_WINDOW - early)
        rich = [h for h in self.world.holders if self.credits.lots[h]]
        self.withdraw_for(data.draw(st.sampled_from(rich or [STRANGER])))

    def withdraw_for(self, account: str) -> None:
        matured = self.credits.matured(account, self.now)
        paid = self.expect(matured > 0, self.market.withdraw, account, sender=STRANGER)
        if matured:
            assert paid == matured
            assert paid <= self.credits.older_than_the_window(account, self.now)
            self.credits.take(account, self.now)

    @rule(shards=counts, proved=st.booleans())
    def collect(self, shards: int, proved: bool) -> None:
        world = self.world
        root = world.proved_root(shards) if proved else world.root(shards)
        version_id = (world.proved if proved else world.versions)[shards]
        shares = self.shares[version_id]
        self.expect(shares.total > 0, self.market.collect, DEVELOPER, root, sender=STRANGER)
        self.credits.earn(DEVELOPER, shares.royalty, self.now)
        self.credits.earn(REVIEWERS, shares.reviewers, self.now)
        self.credits.earn(self.treasury, shares.treasury, self.now)
        self.shares[version_id] = VersionShares()

    @rule(amount=st.integers(1, 10**12), to_vault=st.booleans())
    def donate(self, amount: int, to_vault: bool) -> None:
        target = self.vault if to_vault else self.market
        self.token.transfer(target.address, amount, sender=OWNER)
        self.vault_gifts += amount * to_vault
        self.market_gifts += amount * (not to_vault)

    # Developer and governance

    @rule(
        version=st.integers(0, 3),
        price=prices,
        proof_price=prices,
        profile=st.sampled_from(PROFILES),
        treasury=st.sampled_from(TREASURIES),
    )
    def change_terms(
        self, version: int, price: int, proof_price: int, profile: QueryParameters, treasury: str
    ) -> None:
        version_id = self.all_versions[version]
        self.world.registry.set_price(version_id, price, proof_price, sender=DEVELOPER)
        self.prices[version_id] = (price, proof_price)
        self.world.parameters.set_query_parameters(astuple(profile), sender=OWNER)
        self.world.parameters.set_treasury(treasury, sender=OWNER)
        self.treasury = treasury

    # Court

    @rule(index=picks, shard=st.integers(0, 1))
    def hold_answer(self, index: int, shard: int) -> None:
        book = self.pick_answered(index, held=False)
        if book is not None:
            self.hold_one(book, shard % book.query.shards)

    def pick_answered(self, index: int, held: bool) -> QueryBook | None:
        """An answered query, one that is held (or not) if there is one."""
        answered = [book for book in self.books.values() if book.outcome is not None]
        books = [book for book in answered if book.is_held is held] or answered
        return books[-1 - index % len(books)] if books else None

    def hold_one(self, book: QueryBook, shard: int) -> None:
        running = book.is_held or self.now <= book.closes_at
        is_answer = book.status in (QueryStatus.FULFILLED, QueryStatus.OVERTURNED)
        allowed = is_answer and running and shard not in book.aside
        self.judge(allowed, self.market.hold, book, shard)
        if allowed:
            owners = book.paid_owners(shard, self.world.owners)
            taken = [o for o in owners if self.credits.set_aside(o, book.slot, self.now)]
            self.calls["slot kept"] += len(owners) - len(taken)
            book.held(shard, taken, self.now)

    def judge(self, allowed: bool, call: Callable[..., Any], book: QueryBook, shard: int) -> Any:
        """One of the court's calls about a shard; all but overturning name those who were paid."""
        owners = book.paid_owners(shard, self.world.owners)
        payees = [self.vault.operator_number(owner) << 160 for owner in owners]
        named = () if call.__name__ == "overturn" else (payees,)
        about = (book.query.as_abi(), book.outcome_abi(), shard)
        return self.expect(allowed, call, *about, *named, sender=COURT)

    @rule(index=picks, shard=st.integers(0, 1))
    def release_answer(self, index: int, shard: int) -> None:
        book = self.pick_answered(index, held=True)
        if book is not None:
            self.release_one(book, shard % book.query.shards)

    def release_one(self, book: QueryBook, shard: int) -> None:
        allowed = shard in book.aside
        self.judge(allowed, self.market.release, book, shard)
        if allowed:
            for owner in book.hold_ended(shard, self.now):
                self.credits.earn(owner, book.slot, self.now)
            (event,) = self.world.events("QueryReleased")
            assert (event["shard"], event["closes_at"]) == (shard, book.closes_at)

    @rule(index=picks, shard=st.integers(0, 1))
    def overturn_answer(self, index: int, shard: int) -> None:
        book = self.pick_answered(index, held=True)
        if book is not None:
            self.overturn_one(book, shard % book.query.shards)

    def overturn_one(self, book: QueryBook, shard: int) -> None:
        allowed = shard in book.aside
        kept = self.judge(allowed, self.market.overturn, book, shard)
        if allowed:
            returned, expected, late = book.overturned(shard, self.now)
            (event,) = self.world.events("QueryOverturned")
            assert (kept, event["returned"]) == (expected, returned)
            self.credits.give_back(book.query.requester, returned)
            self.credits.earn(self.treasury, late, self.now)

    @rule(data=st.data(), amount=amounts, owed=amounts)
    def slash(self, data: st.DataObject, amount: int, owed: int) -> None:
        owner = data.draw(st.sampled_from(sorted(self.stakes)))
        before = self.token.balanceOf(self.vault.address)
        accounts = (BENEFICIARY, BENEFICIARY)
        taken, *paid = self.vault.slash(owner, amount, *accounts, owed, sender=COURT)
        rewarded = credited(taken)
        assert paid == [min(owed, rewarded), max(rewarded - owed, 0)]
        after = self.token.balanceOf(self.vault.address)
        assert taken == min(amount, self.stakes[owner])
        assert before - after == taken - rewarded
        assert after < before or not taken
        self.stakes[owner] -= taken
        self.rewards += rewarded
        self.burned += taken - rewarded

    @rule(data=st.data(), release=st.booleans())
    def hold_operator(self, data: st.DataObject, release: bool) -> None:
        owner = data.draw(st.sampled_from(sorted(self.stakes)))
        if release:
            self.expect(self.holds[owner] > 0, self.vault.release_hold, owner, sender=COURT)
            self.holds[owner] = max(self.holds[owner] - 1, 0)
        else:
            self.vault.hold(owner, sender=COURT)
            self.holds[owner] += 1
        self.expect(self.rewards > 0, self.vault.withdraw_reward, BENEFICIARY, sender=STRANGER)
        self.rewards = 0

    # Seats: what they may do is told by the vault's own machine, here they only come and go

    @rule(data=st.data(), amount=st.integers(1, REQUEST_LIMITS.seat_stake))
    def come_or_go(self, data: st.DataObject, amount: int) -> None:
        owner = data.draw(st.sampled_from(sorted(self.world.places)[::3]))
        version_id, shard = data.draw(st.sampled_from(self.world.places[owner]))
        try:
            _, slot = self.vault.seat_of(version_id, owner)
        except Revert:
            self.attempt(self.world.take_seat, owner, version_id, shard)
        else:
            self.attempt(self.vault.leave_seat, version_id, shard, slot, sender=owner)
            self.attempt(self.vault.release_seat, version_id, shard, slot)
        self.stakes[owner] -= self.attempt(self.vault.withdraw, sender=owner) or 0
        self.attempt(self.vault.begin_unbonding, amount, sender=owner)

    def attempt(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            result = call(*arguments, **options)
        except Revert as refused:
            if not refused.reason.startswith("vault: "):
                raise
            return None
        self.calls[f"{call.__name__} done"] += 1
        return result

    @rule(data=st.data(), amount=amounts)
    def deposit(self, data: st.DataObject, amount: int) -> None:
        owner = data.draw(st.sampled_from(sorted(self.stakes)))
        self.token.approve(self.vault.address, amount + 1, sender=OWNER)
        self.vault.deposit_for(owner, amount + 1, sender=OWNER)
        self.stakes[owner] += amount + 1

    # Time

    @rule(seconds=st.sampled_from((1, EPOCH_SECONDS, EPOCH_SECONDS, 61, 130, UNBONDING_SECONDS)))
    def wait(self, seconds: int) -> None:
        if self.books or seconds < 61:
            self.chain.mine(seconds, seconds)

    def wait_until(self, moment: int) -> None:
        """Goes there, unless the moment has passed."""
        seconds = max(moment - self.now, 0)
        self.chain.mine(seconds, seconds)

    @rule(index=picks, first=st.booleans())
    def forget_blocks(self, index: int, first: bool) -> None:
        if self.pick(index, QueryStatus.OPEN) is None:
            return
        if first:
            self.pin_seed(index)
        self.chain.mine(HASH_BLOCKS + 1, 1)

    # What always holds

    def is_census(self) -> bool:
        """Whether to ask every account, which is as much work as thirty rules."""
        return self.chain.timestamp % 4 == 0

    @invariant()
    def the_market_is_solvent(self) -> None:
        """It has what it owes and the gifts, and owes what queries, shares and credits say."""
        owed = self.market.total_owed()
        assert owed == self.total_owed
        assert self.token.balanceOf(self.market.address) == owed + self.market_gifts

    @invariant()
    def the_supply_is_conserved(self) -> None:
        if not self.is_census():
            return
        supply = self.token.totalSupply()
        assert supply == GENESIS_SUPPLY + self.minted - self.burned
        assert supply == sum(self.token.balanceOf(holder) for holder in self.world.holders)

    @invariant()
    def the_vault_is_solvent(self) -> None:
        owed = sum(self.stakes.values()) + self.rewards
        assert self.token.balanceOf(self.vault.address) == owed + self.vault_gifts
        assert self.vault.total_stake() == sum(self.stakes.values())

    @invariant()
    def a_query_ends_once(self) -> None:
        """Answered or refunded, never both and never twice; and its status says so."""
        for query_id, book in list(self.books.items())[-8:]:
            assert book.endings == (book.status is not QueryStatus.OPEN)
            expected = book.status
            if self.is_over(book):
                expected = QueryStatus.FINAL
            assert self.market.status_of(query_id) == expected
            assert self.market.closes_at(query_id) == book.closes_at

    @invariant()
    def an_overturned_answer_is_never_delivered(self) -> None:
        """Nor is any delivered twice: whoever waits for disputes is called at most once."""
        for book in self.books.values():
            assert book.deliveries <= (book.status is QueryStatus.FINAL)

    @invariant()
    def an_earmark_is_released_once(self) -> None:
        """Whatever happened to a query, what it paid in is kept or was paid out, never both."""
        for book in self.books.values():
            assert book.earmark + book.released == book.query.fee
        for version_id in self.all_versions:
            assert self.market.open_fees(version_id) == self.open_fees(version_id)

    @invariant()
    def credits_are_those_of_the_books(self) -> None:
        """Nobody has a credit that no query gave, and none is ripe within its window."""
        for holder in self.world.holders if self.is_census() else ():
            ripe = self.credits.matured(holder, self.now)
            assert ripe <= self.credits.older_than_the_window(holder, self.now)
            waiting = self.credits.waiting(holder, self.now)
            assert self.market.credit_of(holder) == (ripe, waiting)

    @invariant()
    def shares_are_those_of_the_books(self) -> None:
        for version_id in self.all_versions:
            shares = self.shares[version_id]
            expected = (shares.royalty, shares.reviewers, shares.treasury)
            assert self.market.shares_of(version_id) == expected

    @invariant()
    def only_drawn_members_are_paid(self) -> None:
        """Every credit of an operator comes from a draw that Python made itself."""
        for book in list(self.books.values())[-1:]:
            if book.outcome is None:
                continue
            for work, shard in zip(book.works, book.outcome.shards, strict=True):
                assert shard.paid >> len(work.members) == 0


@pytest.fixture
def machine() -> Iterator[QueryMarketMachine]:
    """A deployed machine whose invariants are checked in the end."""
    made = QueryMarketMachine()
    made.deploy()
    yield made
    made.wait_until(made.now // 4 * 4 + 4)  # a census is taken then
    for kept in made.invariants:
        kept.function(made)


def answered(
    machine: QueryMarketMachine, client: int, temper: Temper = Temper.KIND, case: int = 2
) -> QueryBook:
    """A query of one shard is asked and answered without the member at position 1."""
    machine.live(client, 1, 4, case, temper, {1}, [])
    return machine.books[1]


# The search is random; these walk to every end that a query can have.


def test_an_answer_is_claimed_and_withdrawn(machine: QueryMarketMachine) -> None:
    book = answered(machine, Privacy.SEALED)
    owner = machine.world.owners[signer_address(book.works[0].members[1])]
    machine.claim_slot(0, 0, again=False)
    machine.claim_slot(0, 0, again=True)
    machine.collect(1, proved=False)
    machine.withdraw_for(owner)
    machine.wait_until((machine.now // CREDIT_WINDOW + 2) * CREDIT_WINDOW)
    for account in (owner, DEVELOPER, REVIEWERS, TREASURIES[0]):
        machine.withdraw_for(account)
        assert not machine.credits.lots[account]
    assert not book.unpaid


def test_an_answer_is_closed(machine: QueryMarketMachine) -> None:
    book = answered(machine, Privacy.OPEN)
    machine.close(0, patient=False)
    machine.hold_answer(0, 0)
    machine.close(0, patient=True)
    machine.release_answer(0, 0)
    machine.close(0, patient=True)
    assert book.status is QueryStatus.FINAL
    machine.withdraw_for(book.query.requester)
    machine.fulfil_again(0)


def test_an_answer_is_overturned(machine: QueryMarketMachine) -> None:
    """Both shards are held; the first one's members have withdrawn by then, the second's not."""
    machine.live(Privacy.OPEN, 2, 4, 2, Temper.KIND, {1}, [])
    book = machine.books[1]
    machine.hold_answer(0, 1)
    machine.wait_until((machine.now // CREDIT_WINDOW + 2) * CREDIT_WINDOW)
    for owner in book.paid_owners(0, machine.world.owners):
        machine.withdraw_for(owner)
    machine.hold_answer(0, 0)
    machine.overturn_answer(0, 1)
    assert book.status is QueryStatus.OVERTURNED
    machine.withdraw_for(book.query.requester)
    machine.claim_slot(0, 0, again=False)
    machine.hold_answer(0, 1)
    machine.overturn_answer(0, 0)
    machine.release_answer(0, 0)
    machine.close(0, patient=True)
    assert not book.earmark
    assert machine.calls["slot kept"] >= 3


@pytest.mark.parametrize("temper", Temper)
def test_a_challenged_answer_is_delivered(machine: QueryMarketMachine, temper: Temper) -> None:
    book = answered(machine, 0, temper, case=4)
    assert book.query.assurance is Assurance.CHALLENGED
    machine.deliver(0, patient=False)
    machine.close(0, patient=True)
    assert not book.deliveries
    machine.deliver(0, patient=True)
    machine.deliver(0, patient=True)
    assert (book.status, book.deliveries) == (QueryStatus.FINAL, 1)
    machine.withdraw_for(book.query.requester)


def test_an_overturned_challenged_answer_is_not_delivered(machine: QueryMarketMachine) -> None:
    book = answered(machine, 4)
    machine.hold_answer(0, 0)
    machine.deliver(0, patient=True)
    machine.overturn_answer(0, 0)
    machine.deliver(0, patient=True)
    assert (book.status, book.deliveries) == (QueryStatus.OVERTURNED, 0)


def test_a_proved_answer_leaves_nothing_to_close(machine: QueryMarketMachine) -> None:
    book = answered(machine, 3)
    assert book.query.assurance is Assurance.PROVED
    assert book.status is QueryStatus.FULFILLED
    machine.close(0, patient=True)


def test_a_spare_proves_in_its_turn(machine: QueryMarketMachine) -> None:
    machine.ask_for_proofs(PERSONS[0], 2)
    machine.wait(10)
    machine.fulfil(0, set(), set(), 0, prover=1)
    machine.wait(10)
    machine.fulfil(0, set(), set(), 0, prover=1)
    assert machine.books[1].status is QueryStatus.FULFILLED


def test_a_query_is_tried_again_and_refunded(machine: QueryMarketMachine) -> None:
    machine.ask(PERSONS[1], 2, 4, Privacy.OPEN, callback_gas=100_001)
    machine.forget_blocks(0, first=True)
    machine.retry(0, impostor=False, patient=False)
    machine.retry(0, impostor=False, patient=True)
    assert machine.books[1].query.attempt == 1
    machine.refund(0, patient=False)
    machine.refund(0, patient=True)
    assert machine.books[1].status is QueryStatus.REFUNDED
    machine.withdraw_for(PERSONS[1])
    machine.fulfil_again(0)
    machine.refund(0, patient=False)


@pytest.mark.parametrize("temper", Temper)
def test_a_contract_is_answered_whatever_it_does(
    machine: QueryMarketMachine, temper: Temper
) -> None:
    before = machine.calls["callback REVERTED"]
    book = answered(machine, 0, temper)
    assert book.status is QueryStatus.FULFILLED
    assert len(machine.books) == 1 + (temper is Temper.ASKS_AGAIN)
    fails = temper in (Temper.REVERTS, Temper.BURNS_GAS)
    assert machine.calls["callback REVERTED"] - before == fails


@pytest.mark.parametrize("doom", Doom)
def test_a_doomed_report_pays_nobody(machine: QueryMarketMachine, doom: Doom) -> None:
    machine.ask(PERSONS[0], 2, 4, Privacy.OPEN)
    machine.wait(1)
    machine.report_in_vain(0, doom, 1)
    assert machine.credits.total == 0
    machine.fulfil(0, set(), set(), 0, 0)
    assert machine.books[1].status is QueryStatus.FULFILLED


def test_the_market_keeps_its_invariants() -> None:
    quick = settings(max_examples=90, stateful_step_count=50, deadline=None, phases=NO_SHRINKING)
    run_state_machine_as_test(QueryMarketMachine, settings=quick)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_the_market_keeps_its_invariants_for_long() -> None:
    deep = settings(max_examples=1_000, stateful_step_count=150, deadline=None)
    run_state_machine_as_test(QueryMarketMachine, settings=deep)
