"""Random disputes against `nesa.protocol.challenges`: who lies, defends, is late, and who pays."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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

from nesa.chain.court import NO_VIEW
from nesa.models.disputes.encoding import encoded_accusation, encoded_move, encoded_position
from nesa.models.disputes.game import Claimed, Ended, Opened, Side, State, step, to_move
from nesa.models.disputes.moves import Convict, Move, Pick
from nesa.models.disputes.parties import Challenger, Defender
from nesa.protocol.challenges import (
    Challenge,
    Fallen,
    FallenElsewhere,
    Result,
    Stakes,
    Standing,
    Undecided,
    defended,
    resolved,
    settlement,
    verdict,
)
from nesa.protocol.queries import QueryStatus
from nesa.protocol.slashing import credited
from tests.contracts.disputes.disputed import false_trace, lying_witness
from tests.deployment import GENESIS_SUPPLY, QUERY_PARAMETERS, REQUEST_LIMITS
from tests.invariants.court_world import CHALLENGERS, Answer, CourtWorld, Sued, charge_of
from tests.invariants.market_world import PERSONS, STRANGER
from tests.models.disputes.parties import recomputed
from tests.revm import NOBODY, Revert, RevmChain

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
STAKE = REQUEST_LIMITS.seat_stake
ENDINGS = {Standing: 1, Fallen: 2, FallenElsewhere: 4}
REFUSAL = r"^(court|market|vault|game|erc20): "

# What every run sees many times, so that a machine that does nothing cannot pass.
OFTEN = {
    "sue done",
    "sue refused",
    "game won",
    "game lost by fact",
    "ended Standing",
    "ended Fallen",
    "defend refused",
    "conclude refused",
}

picks, truth = st.integers(0, 7), st.booleans()


@dataclass
class Game:
    """One defence: what its signer holds, and where it stands."""

    defender: Defender
    challenger: Challenger
    state: State
    deadline: int


@dataclass
class Case:
    """One challenge as announced, and as the protocol's rules see it."""

    number: int
    answer: Answer | Sued
    shard: int
    announced: tuple[Any, ...]
    rules: Challenge
    games: dict[str, Game] = field(default_factory=dict)
    is_over: bool = False
    earned: int = 0

    @property
    def digest(self) -> tuple[int, int]:
        return self.answer.query.query_id, self.shard

    @property
    def is_suit(self) -> bool:
        return isinstance(self.answer, Sued)

    @property
    def dispute(self) -> tuple[int, int, str]:
        """What falls once: an output, or a member's statements."""
        return (*self.digest, self.rules.signers[0] if self.is_suit else "")


class DisputeCourtMachine(RuleBasedStateMachine):
    """Every rule acts on the court and on the rules alike, or expects the court to refuse."""

    calls: ClassVar[Counter[str]] = Counter()
    chain_type: ClassVar[type[RevmChain]] = RevmChain

    @initialize()
    def deploy(self) -> None:
        self.world = CourtWorld(self.chain_type())
        self.chain, self.court, self.vault = self.world.chain, self.world.court, self.world.vault
        self.answers: list[Answer] = []
        self.cases: list[Case] = []
        self.stakes = {owner: self.vault.ledger(owner)[0] for owner in self.world.places}
        self.rewards: dict[str, int] = defaultdict(int)
        self.credits: dict[str, int] = defaultdict(int)
        self.convicted: set[tuple[int, int, str]] = set()
        self.lost: Counter[tuple[int, int, str]] = Counter()
        self.fallen: set[tuple[int, int, str]] = set()
        self.torn: list[list[Sued]] = []
        self.refunded: set[int] = set()
        self.announced_in: dict[tuple[str, bytes], int] = {}
        self.owed: dict[tuple[int, int, str], int] = defaultdict(int)
        self.burned = 0

    @property
    def now(self) -> int:
        return self.chain.timestamp

    def expect(self, allowed: bool, call: Callable[..., Any], *arguments: Any, sender: str) -> Any:
        """Result of the call; it must succeed exactly when `allowed`."""
        self.calls[f"{call.__name__} {'done' if allowed else 'refused'}"] += 1
        if allowed:
            return call(*arguments, sender=sender)
        with pytest.raises(Revert, match=REFUSAL):
            call(*arguments, sender=sender)
        return None

    def pick_case(self, index: int) -> Case | None:
        """One of the latest challenges, an open one if there is one."""
        cases = [case for case in self.cases if not case.is_over] or self.cases
        return cases[-1 - index % len(cases)] if cases else None

    def slash(self, rules: Challenge, signer: str, amount: int, owed: int = 0) -> tuple[int, int]:
        """Takes stake as far as it is there; the requester is repaid first, then the challenger
        rewarded. What was taken, and what repaid."""
        owner = self.world.owners[signer]
        taken = min(amount, self.stakes[owner])
        share = credited(taken)
        repaid = min(owed, share)
        self.stakes[owner] -= taken
        self.rewards[rules.requester] += repaid
        self.rewards[rules.challenger] += share - repaid
        self.burned += taken - share
        return taken, repaid

    # Queries and challenges

    @rule(lies=st.sets(st.integers(0, 1)), left_out=st.sets(st.integers(0, 3), max_size=1))
    def answer(self, lies: set[int], left_out: set[int]) -> None:
        signed = self.world.truth
        for shard in sorted(lies):
            signed = lying_witness(signed, shard)
        self.answers.append(self.world.ask_and_answer(signed, left_out))

    @rule(
        index=picks, shard=st.integers(0, 1), who=st.sampled_from(CHALLENGERS), wait=st.booleans()
    )
    def challenge(self, index: int, shard: int, who: str, wait: bool) -> None:
        if not self.answers:
            return
        answer = self.answers[-1 - index % len(self.answers)]
        announced = self.announce(answer, shard, who, wait)
        allowed = self.is_open_to_challenge(answer, shard) and announced
        members, version = answer.members(shard), self.world.version()
        call = (*answer.arguments, shard, members, version, NO_VIEW.as_abi())
        number = self.expect(allowed, self.court.open_challenge, *call, sender=who)
        if allowed:
            self.note_challenge(answer, shard, number)

    def announce(self, answer: Answer, shard: int, who: str, wait: bool) -> bool:
        """Whether the challenger has announced in an earlier block."""
        out_digest = answer.outcome.shards[shard].out_digest
        evidence = self.court.challenge_evidence(answer.query.query_id, shard, out_digest)
        return self.announce_evidence(evidence, who, wait)

    def announce_evidence(self, evidence: bytes, who: str, wait: bool) -> bool:
        key = (who, evidence)
        if key not in self.announced_in:
            self.announced_in[key] = self.chain.number
            self.court.announce(self.court.claim_of(who, evidence), sender=who)
        if wait:
            self.chain.mine(1, 1)
        return self.announced_in[key] < self.chain.number

    def is_open_to_challenge(self, answer: Answer, shard: int) -> bool:
        query_id = answer.query.query_id
        if (query_id, shard, "") in self.fallen:
            return False
        outputs = [case for case in self.cases if not case.is_suit]
        if any(case.digest[0] == query_id and not case.is_over for case in outputs):
            return True
        market = self.world.market
        overturned = market.status_of(query_id) == QueryStatus.OVERTURNED
        if overturned:
            return bool(self.now <= market.closes_at(query_id))
        return bool(market.status_of(query_id) == QueryStatus.FULFILLED)

    @rule(lies=st.sets(st.integers(0, 3), max_size=3))
    def split(self, lies: set[int]) -> None:
        """A committee that comes to no answer."""
        self.torn.append(self.world.ask_and_split(lies, lying_witness(self.world.truth, 0)))

    @rule(
        index=picks, place=st.integers(0, 3), who=st.sampled_from(CHALLENGERS), wait=st.booleans()
    )
    def sue(self, index: int, place: int, who: str, wait: bool) -> None:
        if not self.torn:
            return
        sued = self.torn[-1 - index % len(self.torn)][place]
        query, said = sued.query, sued.statement
        allowed = self.announce_evidence(said.evidence, who, wait) and self.is_open_to_suit(sued)
        head = (query.as_abi(), self.world.version(), said.shard_as_abi(), said.as_abi())
        call = (*head, NO_VIEW.as_abi(), query.seed_block)
        number = self.expect(allowed, self.court.sue, *call, sender=who)
        if allowed:
            self.note_challenge(sued, 0, number)

    def is_open_to_suit(self, sued: Sued) -> bool:
        query = sued.query
        if self.lost[query.query_id, 0, sued.statement.signer] >= STAKE:
            return False
        is_remembered = self.chain.number - query.seed_block <= 256
        return is_remembered and self.now <= query.answer_deadline + query.rules.dispute_window

    @rule(index=picks)
    def refund(self, index: int) -> None:
        """The client takes its fee back; nothing is lost with it that was signed."""
        if not self.torn:
            return
        query = self.torn[-1 - index % len(self.torn)][0].query
        allowed = self.now > query.answer_deadline and query.query_id not in self.refunded
        self.expect(allowed, self.world.market.refund, query.as_abi(), sender=STRANGER)
        if allowed:
            self.refunded.add(query.query_id)

    def note_challenge(self, answer: Answer | Sued, shard: int, number: int) -> None:
        (event,) = self.world.court_events("ChallengeOpened")
        announced = tuple(event["challenge"])
        assert number == announced[0] == len(self.cases) + 1
        signers = answer.members(shard)
        if isinstance(answer, Answer):
            paid = answer.outcome.shards[shard].paid
            signers = [m for place, m in enumerate(signers) if paid >> place & 1]
        assert list(announced[5]) == signers
        assert announced[11] == (signers[0] if isinstance(answer, Sued) else NOBODY)
        stakes = Stakes(
            STAKE * REQUEST_LIMITS.challenger_bond_bps // 10_000,
            STAKE * REQUEST_LIMITS.defence_penalty_bps // 10_000,
            STAKE,
        )
        ends = self.now + QUERY_PARAMETERS.defence_window
        rules = Challenge(announced[1], PERSONS[0], tuple(signers), stakes, ends)  # type: ignore[arg-type]
        assert announced[6:10] == (STAKE, stakes.bond, stakes.penalty, ends)
        self.cases.append(Case(number, answer, shard, announced, rules))

    @rule(
        lies=st.sets(st.integers(0, 1)),
        shard=st.integers(0, 1),
        who=st.sampled_from(CHALLENGERS),
        places=st.lists(st.integers(0, 4), min_size=1, max_size=3),
        false=truth,
        moves=st.sampled_from((0, 3, 30, 30)),
        ends=st.sampled_from((None, "expire", "conclude")),
    )
    def dispute(
        self,
        lies: set[int],
        shard: int,
        who: str,
        places: list[int],
        false: bool,
        moves: int,
        ends: str | None,
    ) -> None:
        """A dispute in one step, so that every run has some."""
        self.answer(lies, set())
        self.challenge(0, shard, who, wait=True)
        self.go_through(places, false, moves, ends)

    @rule(
        lies=st.sets(st.integers(0, 3), max_size=3),
        place=st.integers(0, 3),
        who=st.sampled_from(CHALLENGERS),
        defends=truth,
        moves=st.sampled_from((0, 3, 30, 30)),
        ends=st.sampled_from((None, "expire", "conclude")),
    )
    def suit(
        self, lies: set[int], place: int, who: str, defends: bool, moves: int, ends: str | None
    ) -> None:
        """The same with one member of a split committee."""
        self.split(lies)
        self.sue(0, place, who, wait=True)
        self.go_through([0] if defends else [], False, moves, ends)

    def go_through(self, places: list[int], false: bool, moves: int, ends: str | None) -> None:
        for place in places:
            self.defend(0, place, false, own=True)
            self.play(0, 0, moves, wander=0)
        if ends == "expire":
            self.expire(0, 0, patient=True)
        elif ends == "conclude":
            self.conclude(0, patient=True)

    # Games

    @rule(index=picks, place=st.integers(0, 4), false=st.booleans(), own=st.booleans())
    def defend(self, index: int, place: int, false: bool, own: bool) -> None:
        case = self.pick_case(index)
        if case is None:
            return
        members = case.answer.members(case.shard)
        signer = members[place % len(members)]
        signed = case.answer.signed
        holds = false_trace(signed, case.shard) if false else signed
        opened = Opened(charge_of(case.announced))
        defender = Defender(holds, case.shard)
        data = encoded_move(opened, defender.reply(opened))
        sender = signer if own else self.world.owners[signer]
        allowed = self.is_undecided(case) and signer in case.rules.signers
        allowed = allowed and signer not in case.games and self.now <= case.rules.defence_ends
        self.expect(allowed, self.court.defend, case.announced, signer, data, sender=sender)
        if allowed:
            case.rules = defended(case.rules, signer, self.now)  # type: ignore[arg-type]
            move = defender.reply(opened)
            challenger = Challenger(self.correct_values(case), case.shard)
            game = Game(defender, challenger, step(opened, move), 0)
            case.games[signer] = game
            self.moved(game)

    def is_undecided(self, case: Case) -> bool:
        is_won = any(result is Result.WON for _, result in case.rules.defences)
        return not case.is_over and not is_won and case.dispute not in self.fallen

    def moved(self, game: Game) -> None:
        game.deadline = self.now + QUERY_PARAMETERS.move_window
        self.chain.mine(1, 1)

    def open_game(self, case: Case, index: int) -> str | None:
        """A signer whose game is open."""
        results = dict(case.rules.defences)
        names = [s for s in case.games if results[s] is Result.OPEN]  # type: ignore[index]
        return names[index % len(names)] if names else None

    @rule(index=picks, game=picks, moves=st.integers(1, 30), wander=st.integers(0, 9))
    def play(self, index: int, game: int, moves: int, wander: int) -> None:
        case = self.pick_case(index)
        signer = None if case is None else self.open_game(case, game)
        if case is None or signer is None:
            return
        for _ in range(moves):
            if not self.play_once(case, signer, wander):
                break

    def play_once(self, case: Case, signer: str, wander: int) -> bool:
        """One move of the side whose turn it is; False when there is none."""
        game = case.games[signer]
        side = to_move(game.state)
        if side is None:
            return False
        if side is Side.DEFENDER:
            move: Move | None = game.defender.reply(game.state)  # type: ignore[arg-type]
        else:
            move = game.challenger.reply(game.state)  # type: ignore[arg-type]
            if move is None and wander < 3 and hasattr(game.state, "nodes"):
                move = Pick(len(game.state.nodes) - 1)
        return move is not None and self.send(case, signer, side, move)

    def correct_values(self, case: Case) -> Any:
        """What the table makes of the input that the signers had."""
        signed = case.answer.signed
        if case.shard == 0:
            return case.answer.truth
        return recomputed(signed, signed.table.shards[case.shard].first)

    def send(self, case: Case, signer: str, side: Side, move: Move) -> bool:
        game = case.games[signer]
        sender = signer if side is Side.DEFENDER else case.rules.challenger
        position = encoded_position(charge_of(case.announced), game.state)
        allowed = self.is_undecided(case) and self.now <= game.deadline
        given = (case.announced, signer, position)
        if isinstance(move, Convict):
            assert isinstance(game.state, Claimed)
            data = encoded_accusation(game.state, move)
            self.expect(allowed, self.court.convict, *given, data, sender=sender)
        else:
            data = encoded_move(game.state, move)
            self.expect(allowed, self.court.play, *given, data, sender=sender)
        if not allowed:
            return False
        game.state = step(game.state, move)
        if isinstance(game.state, Ended):
            self.ended(case, signer, Result.LOST_BY_FACT)
            return False
        self.moved(game)
        return True

    def ended(self, case: Case, signer: str, result: Result) -> None:
        case.rules = resolved(case.rules, signer, result)  # type: ignore[arg-type]
        self.calls[f"game {result.value}"] += 1
        if result is Result.LOST_BY_TIME:
            self.slash(case.rules, signer, case.rules.stakes.penalty)
        elif result is Result.LOST_BY_FACT and (*case.digest, signer) not in self.convicted:
            self.convicted.add((*case.digest, signer))
            taken, _ = self.slash(case.rules, signer, STAKE)
            self.lost[*case.digest, signer] += taken
            case.earned += credited(taken)

    @rule(index=picks, game=picks, patient=st.booleans())
    def expire(self, index: int, game: int, patient: bool) -> None:
        case = self.pick_case(index)
        signer = None if case is None else self.open_game(case, game)
        if case is not None and signer is not None:
            self.expire_game(case, signer, patient)

    def expire_game(self, case: Case, signer: str, patient: bool) -> None:
        match = case.games[signer]
        if patient and self.now <= match.deadline:
            self.chain.mine(1, match.deadline + 1 - self.now)
        allowed = self.is_undecided(case) and self.now > match.deadline
        self.expect(allowed, self.court.expire, case.announced, signer, sender=STRANGER)
        if allowed:
            late = to_move(match.state)
            self.ended(case, signer, Result.LOST_BY_TIME if late is Side.DEFENDER else Result.WON)

    @rule(index=picks, patient=st.booleans())
    def conclude(self, index: int, patient: bool) -> None:
        case = self.pick_case(index)
        if case is None:
            return
        if patient and self.now <= case.rules.defence_ends:
            self.chain.mine(1, case.rules.defence_ends + 1 - self.now)
        stands: Any = verdict(case.rules, self.now)
        if not isinstance(stands, Standing) and case.dispute in self.fallen:
            stands = FallenElsewhere()
        allowed = not case.is_over and not isinstance(stands, Undecided)
        call = (case.announced, *case.answer.arguments)
        ending = self.expect(allowed, self.court.conclude, *call, sender=STRANGER)
        if allowed:
            assert ending == ENDINGS[type(stands)]
            self.note_ending(case, stands)

    def note_ending(self, case: Case, ending: Any) -> None:
        self.calls[f"ended {type(ending).__name__}"] += 1
        case.is_over = True
        kept = 0 if isinstance(ending, Standing) else self.owed[case.dispute]
        if isinstance(ending, Fallen):
            self.fallen.add(case.dispute)
            kept = 0 if case.is_suit else self.kept(case)
        before = {s for q, shard, s in self.convicted if (q, shard) == case.digest}
        rules = replace(case.rules, defences=())
        left = {signer: self.stakes[self.world.owners[signer]] for signer in rules.signers}
        ended = settlement(rules, ending, kept, before, left, case.earned)  # type: ignore[arg-type]
        for slash in ended.slashes:
            self.convicted.add((*case.digest, slash.signer))
            taken, repaid = self.slash(rules, slash.signer, slash.amount, slash.owed)
            self.lost[*case.digest, slash.signer] += taken
            kept -= repaid
        if not isinstance(ending, Standing):
            self.owed[case.dispute] = kept - ended.credits[rules.requester]
        for account, amount in ended.credits.items():
            self.credits[self.world.owners.get(account, account)] += amount
        self.burned += ended.burned

    def kept(self, case: Case) -> int:
        """What of the fee the market could not return when it was overturned."""
        events = self.world.events("QueryOverturned")
        assert len(events) == 1
        first = sum(1 for q, *_ in self.fallen if q == case.digest[0]) == 1
        return case.answer.query.fee - events[0]["returned"] if first else 0

    # Everybody

    @rule(seconds=st.sampled_from((1, 5, 21, 60, 200)))
    def wait(self, seconds: int) -> None:
        self.chain.mine(1, seconds)

    @rule(who=st.sampled_from((*CHALLENGERS, STRANGER)))
    def withdraw(self, who: str) -> None:
        amount = self.credits[who]
        paid = self.expect(amount > 0, self.court.withdraw, who, sender=STRANGER)
        if amount:
            assert paid == amount
            self.credits[who] = 0

    @rule(index=picks)
    def run_away(self, index: int) -> None:
        """A signer withdraws what it can; while it is held that is nothing."""
        owners = [o for o in self.world.places if self.is_judged(o)]
        owner = owners[index % len(owners)]
        stake, locked, unbonding, at, holds = self.vault.ledger(owner)
        free = stake - locked - unbonding
        if free > 0:
            self.vault.begin_unbonding(free, sender=owner)
            return
        allowed = unbonding > 0 and self.now >= at and not holds
        self.expect(allowed, self.vault.withdraw, sender=owner)
        if allowed:
            self.stakes[owner] -= unbonding

    def is_judged(self, owner: str) -> bool:
        return any(version == self.world.versions[9] for version, _ in self.world.places[owner])

    # What always holds

    @invariant()
    def the_court_is_solvent(self) -> None:
        open_bonds = sum(case.rules.stakes.bond for case in self.cases if not case.is_over)
        owed = open_bonds + sum(self.credits.values())
        assert self.court.bonds_owed() == owed
        assert self.world.token.balanceOf(self.court.address) == owed
        assert all(self.court.credit_of(who) == sum_ for who, sum_ in self.credits.items())

    @invariant()
    def holds_are_those_of_open_challenges(self) -> None:
        wanted = Counter(
            self.world.owners[signer]
            for case in self.cases
            if not case.is_over
            for signer in case.rules.signers
        )
        for owner in self.stakes:
            assert self.vault.ledger(owner)[4] == wanted[owner]

    @invariant()
    def stakes_are_what_the_rules_leave(self) -> None:
        for owner, stake in self.stakes.items():
            assert self.vault.ledger(owner)[0] == stake
        for who, reward in self.rewards.items():
            assert self.vault.rewards(who) == reward
        assert self.world.token.totalSupply() == GENESIS_SUPPLY - self.burned

    @invariant()
    def the_market_is_solvent(self) -> None:
        market = self.world.market
        assert self.world.token.balanceOf(market.address) == market.total_owed()

    @invariant()
    def fallen_queries_stay_overturned(self) -> None:
        for query_id, shard, accused in self.fallen:
            if accused:
                lost = self.lost[query_id, shard, accused]
                assert self.court.is_convicted(query_id, shard, accused) == (lost > 0)
                assert not self.court.has_fallen(query_id, shard)
                continue
            assert self.court.has_fallen(query_id, shard)
            assert self.world.market.status_of(query_id) == QueryStatus.OVERTURNED

    def teardown(self) -> None:
        """Whatever happened, everything can be brought to an end."""
        for case in getattr(self, "cases", []):
            while not case.is_over and (signer := self.open_game(case, 0)):
                if not self.is_undecided(case):
                    break
                self.expire_game(case, signer, patient=True)
            if not case.is_over:
                self.conclude(self.index_of(case), patient=True)
            assert case.is_over
        if getattr(self, "cases", []):
            self.holds_are_those_of_open_challenges()
            self.the_court_is_solvent()

    def index_of(self, case: Case) -> int:
        cases = [one for one in self.cases if not one.is_over]
        return len(cases) - 1 - cases.index(case)


def test_a_second_challenge_ends_elsewhere_and_bonds_come_back() -> None:
    machine = DisputeCourtMachine()
    machine.deploy()
    machine.answer({0}, set())
    for who in CHALLENGERS:
        machine.challenge(0, 0, who, wait=True)
    machine.defend(1, 0, False, own=True)
    machine.play(1, 0, 3, wander=0)
    machine.expire(1, 0, patient=True)
    machine.conclude(1, patient=True)
    assert machine.cases[0].is_over
    machine.conclude(0, patient=False)
    assert [case.is_over for case in machine.cases] == [True, True]
    assert machine.credits[CHALLENGERS[1]] > 0
    for who in CHALLENGERS:
        machine.withdraw(who)
        machine.withdraw(who)
    machine.teardown()
    machine.the_court_is_solvent()
    machine.stakes_are_what_the_rules_leave()


def test_the_court_keeps_its_invariants() -> None:
    quick = settings(max_examples=60, stateful_step_count=40, deadline=None, phases=NO_SHRINKING)
    run_state_machine_as_test(DisputeCourtMachine, settings=quick)
    assert DisputeCourtMachine.calls.keys() >= OFTEN


@pytest.mark.deep
@pytest.mark.timeout(7_200)
def test_the_court_keeps_its_invariants_for_long() -> None:
    deep = settings(max_examples=400, stateful_step_count=120, deadline=None)
    run_state_machine_as_test(DisputeCourtMachine, settings=deep)
