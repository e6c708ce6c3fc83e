# pragma version ~=0.4.3
# pragma optimize codesize
# pragma evm-version prague
"""
@title Dispute Court
@license AGPL-3.0-only
@notice Takes stake on evidence that anybody can send; see `IDisputeCourt` for what each function
        promises.
@dev An honest member computes one output of an input, whatever round it is in. Signatures under one
     query number may stem from two histories of the chain and so from two models; a commitment
     holds the seed block, hence each statement of an equivocation has to open its own.
     A challenge is kept as the hash of what was announced, a game as the hash of its position; what
     follows from a move is for `ElementGame` to say, what is wrong for `Conviction`. A defender
     answers with its stake, so it needs no money to defend.
     A suit is a challenge of one member's statement instead of a committee's output: the same games
     and the same bond, but no query is held, since there is no answer to hold.
@custom:invariant 1. Two statements convict only when both open a commitment to the same input under
       the same seed:
    tests/contracts/disputes/test_show_equivocation.py::test_a_changed_field_convicts_nobody
    2. A signer loses one seat's stake for a shard of a query, however often it is shown:
    tests/contracts/disputes/test_show_equivocation.py::test_nobody_is_convicted_twice
    3. Evidence that was read in somebody's transaction earns nothing:
    tests/contracts/disputes/test_show_equivocation.py::test_read_evidence_comes_too_late
    4. The token balance is `bonds_owed`, and more only by donations:
    tests/invariants/test_dispute_court.py::DisputeCourtMachine.the_court_is_solvent
    5. A digest that one signer could defend costs none of the others anything:
    tests/adversary/disputes/test_challenges.py::test_a_false_friend_ruins_nobody_but_itself
    6. Every hold of the court ends with the challenge that began it:
    tests/invariants/test_dispute_court.py::DisputeCourtMachine.holds_are_those_of_open_challenges
    7. What was signed in another history of the chain convicts nobody:
    tests/adversary/disputes/test_split_committees.py::test_a_statement_of_another_history_convicts_nobody
@custom:kill No switch. Nothing pauses a slash.
"""
from ethereum.ercs import IERC20

from ..interfaces import IConviction
from ..interfaces import IDisputeCourt
from ..interfaces import IElementGame
from ..interfaces import IModelRegistry
from ..interfaces import INesToken
from ..interfaces import IProofRouter
from ..interfaces import IProtocolParameters
from ..interfaces import IQueryMarket
from ..interfaces import IStakeVault

implements: IDisputeCourt

from ..lib import attestation
from ..lib import parameter_words
from ..lib import query_terms
from ..lib import tensor_digest
from ..lib import tenure
from ..lib import version_identity

# How a challenge stands: the first signer who won a game, what games that were lost by a fact have
# earned the challenger (64 bits), games that are open (8 bits), whether it is over.
struct Standing:
    winner: address
    earned: uint256
    open_games: uint256
    is_over: bool

# Where a game stands: the highest 208 bits of the hash of its position, zero once it has ended;
# until when the next move has to come (40 bits), and whose it is. Whoever looks for two positions
# of one hash has 2**104 steps to go, as in the market's words.
struct Game:
    position: uint256
    deadline: uint256
    is_defenders: bool

# What became of one output, or of one member's statements: how many challenges are open, whether
# one of them has brought it down, whether a fault was shown, and what no seat was left to repay the
# requester (64 bits).
struct Dispute:
    open_challenges: uint256
    has_fallen: bool
    is_fault_shown: bool
    owed: uint256

PROTOCOL_VERSION: constant(uint256) = 1
CLAIM_DOMAIN: constant(bytes32) = keccak256("nesa.claim.v1")
CHALLENGE_DOMAIN: constant(bytes32) = keccak256("nesa.challenge.v1")
# Selector of `IConviction.expect_wrong`: nobody is convicted where it is another.
EXPECT_WRONG: constant(bytes4) = 0x854c5502
BPS: constant(uint256) = 10_000
MAX_SIGNERS: constant(uint256) = 8

HEAD: constant(uint256) = (2**208 - 1) << 48
MASK_40: constant(uint256) = 2**40 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_160: constant(uint256) = 2**160 - 1

TOKEN: immutable(IERC20)
PARAMETERS: immutable(IProtocolParameters)
REGISTRY: immutable(IModelRegistry)
ROUTER: immutable(IProofRouter)
VAULT: immutable(IStakeVault)
MARKET: immutable(IQueryMarket)
SESSIONS: immutable(IQueryMarket)
GAME: immutable(IElementGame)
CONVICTION: immutable(IConviction)

# Bonds of open challenges, and credits.
bonds_owed: public(uint256)
credit_of: public(HashMap[address, uint256])

_announced_at: HashMap[bytes32, uint256]
# What a signer lost for a shard of a query.
_lost: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]
_last_challenge_id: uint256
_challenges: HashMap[uint256, bytes32]
# One word each, see the structs above: winner (160 bits, lowest) | earned (64) | open games (8) |
# is over (1); deadline (40 bits, lowest) | is defender's (1) | position (208, highest).
_standings: HashMap[uint256, uint256]
_games: HashMap[uint256, HashMap[address, uint256]]
# By query, shard, and the member that is sued, nobody for outputs: has fallen (1 bit, lowest) | is
# fault shown (1) | open challenges (40) | owed (64, from bit 64).
_disputes: HashMap[uint256, HashMap[uint256, HashMap[address, uint256]]]


@deploy
def __init__(
    token: address,
    parameters: address,
    registry: address,
    router: address,
    vault: address,
    market: address,
    sessions: address,
    game: address,
    conviction: address,
):
    """
    @notice Binds the court to the contracts below it for good.
    @param token NES.
    @param parameters The protocol parameters.
    @param registry Versions of models.
    @param router Proofs.
    @param vault The stake vault, which has to name this court as its slasher.
    @param market The query market, which has to name this court.
    @param sessions The sessions of queries on shares.
    @param game Rules of the element game.
    @param conviction Who asks the judges.
    """
    given: address[9] = [
        token, parameters, registry, router, vault, market, sessions, game, conviction
    ]
    assert empty(address) not in given, "court: no contract"
    # Nobody is convicted by the silence of an address without code; see `convict`.
    assert conviction.is_contract, "court: no conviction"
    TOKEN = IERC20(token)
    PARAMETERS = IProtocolParameters(parameters)
    REGISTRY = IModelRegistry(registry)
    ROUTER = IProofRouter(router)
    VAULT = IStakeVault(vault)
    MARKET = IQueryMarket(market)
    SESSIONS = IQueryMarket(sessions)
    GAME = IElementGame(game)
    CONVICTION = IConviction(conviction)


# === Evidence ===


@external
def announce(claim: bytes32):
    """
    @notice Reserves evidence for the caller; see `IDisputeCourt`.
    """
    assert self._announced_at[claim] == 0, "court: announced before"
    self._announced_at[claim] = block.number
    log IDisputeCourt.EvidenceAnnounced(challenger=msg.sender, claim=claim)


@external
@nonreentrant
def show_equivocation(
    shard: IDisputeCourt.Shard, first: IDisputeCourt.Statement, second: IDisputeCourt.Statement
) -> uint256:
    """
    @notice Convicts a member that signed two outputs of one input; see `IDisputeCourt`.
    """
    self._check_announced(keccak256(abi_encode(shard, first, second)))
    assert first.out_digest != second.out_digest, "court: one output"
    signer: address = self._author(shard, first)
    assert signer == self._author(shard, second), "court: two signers"
    operator: address = self._operator(signer)
    # The query may be one to come, and the operator without stake: only what was taken counts.
    due: uint256 = self._due(shard, signer, self._limits().seat_stake)

    # Nobody is owed anything, so the whole share of the slash is the caller's.
    taken: uint256 = (
        extcall VAULT.slash(operator, due, msg.sender, empty(address), 0)
    ).taken
    self._lost[shard.query_id][shard.shard][signer] += taken

    log IDisputeCourt.EquivocationShown(
        operator=operator,
        challenger=msg.sender,
        query_id=shard.query_id,
        shard=shard.shard,
        taken=taken,
    )
    return taken


# === Challenges ===


@external
def open_challenge(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    members: DynArray[address, MAX_SIGNERS],
    version: IDisputeCourt.Version,
    view: IDisputeCourt.View,
) -> uint256:
    """
    @notice Claims that a shard's output is wrong; see `IDisputeCourt`.
    """
    challenge: IDisputeCourt.Challenge = self._of_output(
        query, outcome, shard, members, version, view
    )
    self._open_on_output(challenge, query, outcome)
    self._pull_bond(challenge.bond)
    return challenge.challenge_id


@external
def show_fault(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    members: DynArray[address, MAX_SIGNERS],
    version: IDisputeCourt.Version,
    input: Bytes[512],
    output: Bytes[512],
    proof: Bytes[4608],
) -> uint256:
    """
    @notice Opens a challenge by a proof of another output; see `IDisputeCourt`.
    """
    challenge: IDisputeCourt.Challenge = self._of_output(
        query, outcome, shard, members, version, empty(IDisputeCourt.View)
    )
    challenge.bond = 0
    dispute: Dispute = self._dispute(query.query_id, shard, empty(address))
    assert not dispute.is_fault_shown, "court: fault shown before"
    dispute.is_fault_shown = True
    self._store_dispute(query.query_id, shard, empty(address), dispute)
    self._check_fault(query.version_id, challenge.charge, input, output, proof)
    self._open_on_output(challenge, query, outcome)
    return challenge.challenge_id


@external
def sue(
    query: IQueryMarket.Query,
    version: IDisputeCourt.Version,
    shard: IDisputeCourt.Shard,
    statement: IDisputeCourt.Statement,
    view: IDisputeCourt.View,
    seed_block: uint256,
) -> uint256:
    """
    @notice Claims that what a member signed is wrong; see `IDisputeCourt`.
    """
    assert shard.query_id == query.query_id, "court: of another query"
    asked: IQueryMarket = self._asked(query.query_id)
    # Attempts of a query have one model, products of a session have one each.
    is_of_attempt: bool = shard.attempt == query.attempt
    assert asked == MARKET or is_of_attempt, "court: of another product"
    assert staticcall asked.verify_terms(query), "court: not an unanswered query"
    window: uint256 = parameter_words.dispute_window(query.parameters)
    closes_at: uint256 = query.answer_deadline + window
    assert block.timestamp <= closes_at, "court: too late to sue"
    self._check_announced(keccak256(abi_encode(shard, statement)))
    # A query number means one model in one history of the chain. The hash of a block names its
    # history, and honest members take no other seed than that of the block behind the request.
    seed: bytes32 = staticcall asked.seed_of(seed_block)
    assert shard.seed == seed, "court: seed of another history"
    signer: address = self._author(shard, statement)
    operator: address = self._operator(signer)

    challenge: IDisputeCourt.Challenge = self._challenge(
        query,
        version,
        shard.shard,
        self._plain(query, shard.in_digest, view),
        statement.out_digest,
        [signer],
        signer,
    )
    self._due(shard, signer, challenge.seat_stake)
    self._open(challenge, [operator])
    self._pull_bond(challenge.bond)
    return challenge.challenge_id


@external
def defend(
    challenge: IDisputeCourt.Challenge, signer: address, move: Bytes[16384]
):
    """
    @notice Opens the game of one signer; see `IDisputeCourt`.
    """
    self._check_undecided(challenge)
    assert signer in challenge.signers, "court: not a signer"
    self._check_defender(signer)
    assert block.timestamp <= challenge.defence_ends, "court: defence is over"
    game: Game = self._game(challenge.challenge_id, signer)
    assert game.deadline == 0, "court: defends already"

    stands: Standing = self._standing(challenge.challenge_id)
    stands.open_games += 1
    self._store_standing(challenge.challenge_id, stands)
    opened: Bytes[2304] = staticcall GAME.opened(challenge.charge)
    next: Bytes[2304] = b""
    is_defenders: bool = False
    next, is_defenders = staticcall GAME.play(opened, move)
    deadline: uint256 = self._advance(challenge, signer, next, is_defenders)
    log IDisputeCourt.Moved(
        challenge_id=challenge.challenge_id, defender=signer, move=move, deadline=deadline
    )


@external
def play(
    challenge: IDisputeCourt.Challenge,
    signer: address,
    position: Bytes[2304],
    move: Bytes[16384],
):
    """
    @notice Makes a move; see `IDisputeCourt`.
    """
    self._check_undecided(challenge)
    if self._timely(challenge.challenge_id, signer, position).is_defenders:
        self._check_defender(signer)
    else:
        self._check_challenger(challenge)
    next: Bytes[2304] = b""
    is_defenders: bool = False
    next, is_defenders = staticcall GAME.play(position, move)
    deadline: uint256 = self._advance(challenge, signer, next, is_defenders)
    log IDisputeCourt.Moved(
        challenge_id=challenge.challenge_id, defender=signer, move=move, deadline=deadline
    )


@external
@nonreentrant
def convict(
    challenge: IDisputeCourt.Challenge,
    signer: address,
    position: Bytes[2304],
    accusation: Bytes[40960],
):
    """
    @notice Ends a game by a fact; see `IDisputeCourt`.
    """
    self._check_undecided(challenge)
    self._check_challenger(challenge)
    self._timely(challenge.challenge_id, signer, position)
    # A call by hand sends as many bytes as there are and expects none back; Vyper's own would send
    # room for the longest accusation, and pay for memory up to its end. Both arguments are encoded
    # already, so the call names the places where they stand: behind two words of head and the word
    # with which each encoding begins.
    place: uint256 = 96
    raw_call(
        CONVICTION.address,
        concat(
            EXPECT_WRONG,
            convert(place, bytes32),
            convert(place + len(accusation), bytes32),
            accusation,
            position,
        ),
        is_static_call=True,
    )

    slashed: IStakeVault.Slashed = self._slash_seat(challenge, signer, 0)
    self._end_game(
        challenge, signer, IDisputeCourt.GameResult.LOST_BY_FACT, slashed.rewarded
    )


@external
@nonreentrant
def expire(challenge: IDisputeCourt.Challenge, signer: address):
    """
    @notice Ends a game by time; see `IDisputeCourt`.
    """
    self._check_undecided(challenge)
    game: Game = self._game(challenge.challenge_id, signer)
    assert game.position != 0, "court: no open game"
    assert block.timestamp > game.deadline, "court: there is time left"

    if game.is_defenders:
        self._end_game(challenge, signer, IDisputeCourt.GameResult.LOST_BY_TIME, 0)
        operator: address = staticcall VAULT.operator_of(signer)
        extcall VAULT.slash(
            operator, challenge.penalty, challenge.challenger, challenge.requester, 0
        )
    else:
        self._end_game(challenge, signer, IDisputeCourt.GameResult.WON, 0)


@external
@nonreentrant
def conclude(
    challenge: IDisputeCourt.Challenge,
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
) -> IDisputeCourt.Ending:
    """
    @notice Ends a challenge that is decided; see `IDisputeCourt`.
    """
    self._check_open(challenge)
    shard: uint256 = challenge.charge.shard
    dispute: Dispute = self._dispute(challenge.query_id, shard, challenge.accused)
    ending: IDisputeCourt.Ending = self._ending(challenge, dispute.has_fallen)
    dispute.open_challenges -= 1
    dispute.has_fallen = dispute.has_fallen or ending == IDisputeCourt.Ending.FALLEN
    stands: Standing = self._standing(challenge.challenge_id)
    stands.is_over = True
    self._store_standing(challenge.challenge_id, stands)
    self._store_dispute(challenge.query_id, shard, challenge.accused, dispute)

    operators: DynArray[address, MAX_SIGNERS] = self._operators(challenge.signers)
    kept: uint256 = 0
    if challenge.accused == empty(address):
        assert query.query_id == challenge.query_id, "court: another query"
        if ending == IDisputeCourt.Ending.FALLEN:
            kept = extcall MARKET.overturn(query, outcome, shard)
        elif dispute.open_challenges == 0 and not dispute.has_fallen:
            extcall MARKET.release(query, outcome, shard, self._payees(operators))
    if ending == IDisputeCourt.Ending.FALLEN:
        dispute.owed = self._slash_all(challenge, kept)
    for operator: address in operators:
        extcall VAULT.release_hold(operator)
    dispute.owed -= self._settle_bond(challenge, ending, dispute.owed)
    self._store_dispute(challenge.query_id, shard, challenge.accused, dispute)
    log IDisputeCourt.ChallengeEnded(
        challenge_id=challenge.challenge_id, query_id=challenge.query_id, ending=ending
    )
    return ending


@external
@nonreentrant
def withdraw(account: address) -> uint256:
    """
    @notice Pays what challenges credited; see `IDisputeCourt`.
    """
    amount: uint256 = self.credit_of[account]
    assert amount != 0, "court: nothing to withdraw"

    self.credit_of[account] = 0
    self.bonds_owed -= amount
    log IDisputeCourt.BondWithdrawn(account=account, amount=amount)

    paid: bool = extcall TOKEN.transfer(account, amount, default_return_value=True)
    assert paid, "court: transfer failed"
    return amount


# === Views ===


@external
@view
def claim_of(challenger: address, evidence: bytes32) -> bytes32:
    """
    @notice What is announced; see `IDisputeCourt`.
    """
    return self._claim(challenger, evidence)


@external
@view
def challenge_evidence(query_id: uint256, shard: uint256, out_digest: bytes32) -> bytes32:
    """
    @notice What is announced of a challenge; see `IDisputeCourt`.
    """
    return self._challenge_evidence(query_id, shard, out_digest)


@external
@view
def announced_at(claim: bytes32) -> uint256:
    """
    @notice When a claim was announced; see `IDisputeCourt`.
    """
    return self._announced_at[claim]


@external
@view
def is_convicted(query_id: uint256, shard: uint256, signer: address) -> bool:
    """
    @notice Whether a signer was convicted; see `IDisputeCourt`.
    """
    return self._lost[query_id][shard][signer] != 0


@external
@view
def has_fallen(query_id: uint256, shard: uint256) -> bool:
    """
    @notice Whether an output has fallen; see `IDisputeCourt`.
    """
    return self._dispute(query_id, shard, empty(address)).has_fallen


@external
@view
def standing(challenge_id: uint256) -> (uint256, address, bool):
    """
    @notice How a challenge stands; see `IDisputeCourt`.
    """
    stands: Standing = self._standing(challenge_id)
    return stands.open_games, stands.winner, stands.is_over


@external
@view
def game(challenge_id: uint256, signer: address) -> (bytes26, uint256, bool):
    """
    @notice Where a game stands; see `IDisputeCourt`.
    """
    game: Game = self._game(challenge_id, signer)
    position: bytes32 = convert(game.position, bytes32)
    return convert(position, bytes26), game.deadline, game.is_defenders


# === Evidence ===


@internal
@view
def _claim(challenger: address, evidence: bytes32) -> bytes32:
    return keccak256(
        abi_encode(CLAIM_DOMAIN, PROTOCOL_VERSION, chain.id, self, challenger, evidence)
    )


@internal
@view
def _check_announced(evidence: bytes32):
    # Who reads the evidence in a waiting transaction can announce it in that block at the earliest.
    at: uint256 = self._announced_at[self._claim(msg.sender, evidence)]
    assert at != 0, "court: not announced"
    assert at < block.number, "court: announced just now"


@internal
@view
def _author(
    shard: IDisputeCourt.Shard, statement: IDisputeCourt.Statement
) -> address:
    asked: IQueryMarket = self._asked(shard.query_id)
    return staticcall CONVICTION.author(asked.address, shard, statement)


@internal
@view
def _asked(query_id: uint256) -> IQueryMarket:
    # Who keeps the terms: products of a session are numbered behind all queries.
    if query_id >= query_terms.FIRST_SESSION:
        return SESSIONS
    return MARKET


@internal
@view
def _operator(signer: address) -> address:
    operator: address = staticcall VAULT.operator_of(signer)
    assert operator != empty(address), "court: no operator"
    return operator


@internal
@view
def _due(shard: IDisputeCourt.Shard, signer: address, stake: uint256) -> uint256:
    # What is left of a seat's stake that a signer answers with for a shard of a query.
    lost: uint256 = self._lost[shard.query_id][shard.shard][signer]
    assert lost < stake, "court: convicted before"
    return stake - lost


@internal
@pure
def _challenge_evidence(query_id: uint256, shard: uint256, out_digest: bytes32) -> bytes32:
    return keccak256(abi_encode(CHALLENGE_DOMAIN, query_id, shard, out_digest))


@internal
@view
def _limits() -> IProtocolParameters.RequestLimits:
    parameters: uint256 = 0
    limits: uint256 = 0
    parameters, limits = staticcall PARAMETERS.request_terms()
    return parameter_words.unpack_request_limits(limits)


# === Opening ===


@internal
@view
def _of_output(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    members: DynArray[address, MAX_SIGNERS],
    version: IDisputeCourt.Version,
    view: IDisputeCourt.View,
) -> IDisputeCourt.Challenge:
    # What the caller says of an answered query.
    assert staticcall MARKET.verify_outcome(query, outcome), "court: another outcome"
    assert shard < query.shards, "court: no such shard"
    settled: IQueryMarket.ShardOutcome = outcome.shards[shard]
    self._check_announced(self._challenge_evidence(query.query_id, shard, settled.out_digest))
    in_digest: bytes32 = query.input_digest
    if shard != 0:
        in_digest = outcome.shards[shard - 1].out_digest
    challenge: IDisputeCourt.Challenge = self._challenge(
        query,
        version,
        shard,
        self._plain(query, in_digest, view),
        settled.out_digest,
        self._signers(members, settled),
        empty(address),
    )
    self._check_not_fallen(query.query_id, shard, empty(address))
    return challenge


@internal
@view
def _challenge(
    query: IQueryMarket.Query,
    version: IDisputeCourt.Version,
    shard: uint256,
    in_digest: bytes32,
    out_digest: bytes32,
    signers: DynArray[address, MAX_SIGNERS],
    accused: address,
) -> IDisputeCourt.Challenge:
    self._check_version(query.version_id, version)
    rules: IProtocolParameters.QueryParameters = query_terms.rules(query)
    limits: IProtocolParameters.RequestLimits = self._limits()
    return IDisputeCourt.Challenge(
        challenge_id=self._last_challenge_id + 1,
        challenger=msg.sender,
        query_id=query.query_id,
        requester=query.requester,
        charge=IElementGame.Charge(
            operators_root=version.operators_root,
            shard=shard,
            shards=query.shards,
            in_digest=in_digest,
            out_digest=out_digest,
        ),
        signers=signers,
        seat_stake=limits.seat_stake,
        bond=limits.seat_stake * limits.challenger_bond_bps // BPS,
        penalty=limits.seat_stake * limits.defence_penalty_bps // BPS,
        defence_ends=block.timestamp + rules.defence_window,
        move_window=rules.move_window,
        accused=accused,
    )


@internal
@view
def _plain(
    query: IQueryMarket.Query, in_digest: bytes32, view: IDisputeCourt.View
) -> bytes32:
    # Only who holds the content key of a sealed query can tell: the client, its committee, whom it
    # lets see.
    if query.privacy in (IQueryMarket.Privacy.OPEN | IQueryMarket.Privacy.SHARED):
        return in_digest
    shown: bytes32 = tensor_digest.blinded(view.in_digest, view.blind)
    assert shown == in_digest, "court: no view of the query"
    return view.in_digest


@internal
@pure
def _check_version(version_id: bytes32, version: IDisputeCourt.Version):
    root: bytes32 = version_identity.version_root(
        version.operators_root, version.shards_digest, version.metadata_digest
    )
    found: bytes32 = version_identity.version_id(version.developer, root)
    assert found == version_id, "court: another version"


@internal
@pure
def _signers(
    members: DynArray[address, MAX_SIGNERS], settled: IQueryMarket.ShardOutcome
) -> DynArray[address, MAX_SIGNERS]:
    # Who signed the output: the market paid nobody else.
    drawn: bytes32 = attestation.members_digest(members)
    assert drawn == settled.members_digest, "court: other members"
    signers: DynArray[address, MAX_SIGNERS] = []
    for i: uint256 in range(len(members), bound=MAX_SIGNERS):
        if (settled.paid >> i) & 1 == 1:
            signers.append(members[i])
    return signers


@internal
@view
def _check_fault(
    version_id: bytes32,
    charge: IElementGame.Charge,
    input: Bytes[512],
    output: Bytes[512],
    proof: Bytes[4608],
):
    verifier: address = empty(address)
    input_edge: bytes32 = empty(bytes32)
    output_edge: bytes32 = empty(bytes32)
    verifier, input_edge, output_edge = staticcall REGISTRY.proof_terms(version_id, charge.shard)
    in_digest: bytes32 = empty(bytes32)
    out_digest: bytes32 = empty(bytes32)
    in_digest, out_digest = staticcall ROUTER.verify(
        verifier, input_edge, output_edge, input, output, proof
    )
    assert in_digest == charge.in_digest, "court: proof of other input"
    assert out_digest != charge.out_digest, "court: proof of the same output"


@internal
def _open_on_output(
    challenge: IDisputeCourt.Challenge,
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
):
    # The first challenge of a shard stops the query.
    operators: DynArray[address, MAX_SIGNERS] = self._operators(challenge.signers)
    others: uint256 = self._open(challenge, operators)
    if others == 0:
        extcall MARKET.hold(query, outcome, challenge.charge.shard, self._payees(operators))


@internal
def _open(
    challenge: IDisputeCourt.Challenge, operators: DynArray[address, MAX_SIGNERS]
) -> uint256:
    # Keeps a challenge. Returns how many others are open.
    query_id: uint256 = challenge.query_id
    shard: uint256 = challenge.charge.shard
    dispute: Dispute = self._dispute(query_id, shard, challenge.accused)
    dispute.open_challenges += 1
    self._store_dispute(query_id, shard, challenge.accused, dispute)
    self._last_challenge_id = challenge.challenge_id
    self._challenges[challenge.challenge_id] = self._challenge_hash(challenge)
    log IDisputeCourt.ChallengeOpened(
        challenge_id=challenge.challenge_id,
        challenger=msg.sender,
        query_id=challenge.query_id,
        challenge=challenge,
    )
    for operator: address in operators:
        extcall VAULT.hold(operator)
    return dispute.open_challenges - 1


@internal
def _pull_bond(bond: uint256):
    self.bonds_owed += bond
    paid: bool = extcall TOKEN.transferFrom(msg.sender, self, bond, default_return_value=True)
    assert paid, "court: no bond"


@internal
@view
def _operators(
    signers: DynArray[address, MAX_SIGNERS]
) -> DynArray[address, MAX_SIGNERS]:
    operators: DynArray[address, MAX_SIGNERS] = []
    for signer: address in signers:
        operators.append(staticcall VAULT.operator_of(signer))
    return operators


@internal
@view
def _payees(
    operators: DynArray[address, MAX_SIGNERS]
) -> DynArray[uint256, MAX_SIGNERS]:
    # Whom the market credited for these operators' work.
    payees: DynArray[uint256, MAX_SIGNERS] = []
    for operator: address in operators:
        payees.append(tenure.payee_of(staticcall VAULT.operator_number(operator)))
    return payees


# === Words ===


@internal
@view
def _standing(challenge_id: uint256) -> Standing:
    word: uint256 = self._standings[challenge_id]
    return Standing(
        winner=convert(word & MASK_160, address),
        earned=(word >> 160) & MASK_64,
        open_games=(word >> 224) & 255,
        is_over=(word >> 232) != 0,
    )


@internal
def _store_standing(challenge_id: uint256, stands: Standing):
    self._standings[challenge_id] = (
        convert(stands.winner, uint256)
        | (stands.earned << 160)
        | (stands.open_games << 224)
        | (convert(stands.is_over, uint256) << 232)
    )


@internal
@view
def _game(challenge_id: uint256, signer: address) -> Game:
    word: uint256 = self._games[challenge_id][signer]
    return Game(
        position=word & HEAD, deadline=word & MASK_40, is_defenders=(word >> 40) & 1 == 1
    )


@internal
def _store_game(challenge_id: uint256, signer: address, game: Game):
    self._games[challenge_id][signer] = (
        game.position | (convert(game.is_defenders, uint256) << 40) | game.deadline
    )


@internal
@pure
def _head(position: Bytes[2304]) -> uint256:
    return convert(keccak256(position), uint256) & HEAD


@internal
@view
def _dispute(query_id: uint256, shard: uint256, accused: address) -> Dispute:
    word: uint256 = self._disputes[query_id][shard][accused]
    return Dispute(
        open_challenges=(word >> 2) & MASK_40,
        has_fallen=word & 1 == 1,
        is_fault_shown=word & 2 == 2,
        owed=word >> 64,
    )


@internal
def _store_dispute(query_id: uint256, shard: uint256, accused: address, dispute: Dispute):
    self._disputes[query_id][shard][accused] = (
        convert(dispute.has_fallen, uint256)
        | (convert(dispute.is_fault_shown, uint256) << 1)
        | (dispute.open_challenges << 2)
        | (dispute.owed << 64)
    )


# === Games ===


@internal
@pure
def _challenge_hash(challenge: IDisputeCourt.Challenge) -> bytes32:
    return keccak256(abi_encode(challenge))


@internal
@view
def _check_open(challenge: IDisputeCourt.Challenge) -> Standing:
    kept: bytes32 = self._challenges[challenge.challenge_id]
    assert kept == self._challenge_hash(challenge), "court: another challenge"
    stands: Standing = self._standing(challenge.challenge_id)
    assert not stands.is_over, "court: challenge is over"
    return stands


@internal
@view
def _check_undecided(challenge: IDisputeCourt.Challenge):
    # Nobody loses by a game whose outcome changes nothing any more.
    stands: Standing = self._check_open(challenge)
    assert stands.winner == empty(address), "court: digest is defended"
    self._check_not_fallen(challenge.query_id, challenge.charge.shard, challenge.accused)


@internal
@view
def _check_not_fallen(query_id: uint256, shard: uint256, accused: address):
    assert not self._dispute(query_id, shard, accused).has_fallen, "court: has fallen"


@internal
@view
def _check_challenger(challenge: IDisputeCourt.Challenge):
    assert msg.sender == challenge.challenger, "court: not the challenger"


@internal
@view
def _check_defender(signer: address):
    # A signer's operator may defend as well: the signing key may be lost, the stake is not.
    is_signer: bool = msg.sender == signer
    if not is_signer:
        is_signer = msg.sender == staticcall VAULT.operator_of(signer)
    assert is_signer, "court: not the defender"


@internal
@view
def _timely(challenge_id: uint256, signer: address, position: Bytes[2304]) -> Game:
    # The game, which stands at this position and waits for a move.
    game: Game = self._game(challenge_id, signer)
    assert game.position == self._head(position), "court: another position"
    assert block.timestamp <= game.deadline, "court: too late"
    return game


@internal
def _advance(
    challenge: IDisputeCourt.Challenge,
    signer: address,
    position: Bytes[2304],
    is_defenders: bool,
) -> uint256:
    # Keeps a position. Returns until when the next move has to come.
    deadline: uint256 = block.timestamp + challenge.move_window
    self._store_game(
        challenge.challenge_id,
        signer,
        Game(position=self._head(position), deadline=deadline, is_defenders=is_defenders),
    )
    return deadline


@internal
def _end_game(
    challenge: IDisputeCourt.Challenge,
    signer: address,
    result: IDisputeCourt.GameResult,
    earned: uint256,
):
    game: Game = self._game(challenge.challenge_id, signer)
    game.position = 0
    self._store_game(challenge.challenge_id, signer, game)
    stands: Standing = self._standing(challenge.challenge_id)
    stands.open_games -= 1
    stands.earned += earned
    if result == IDisputeCourt.GameResult.WON:
        stands.winner = signer
    self._store_standing(challenge.challenge_id, stands)
    log IDisputeCourt.GameEnded(
        challenge_id=challenge.challenge_id, defender=signer, result=result
    )


# === Endings ===


@internal
@view
def _ending(
    challenge: IDisputeCourt.Challenge, has_fallen: bool
) -> IDisputeCourt.Ending:
    stands: Standing = self._standing(challenge.challenge_id)
    if stands.winner != empty(address):
        return IDisputeCourt.Ending.STANDING
    if has_fallen:
        return IDisputeCourt.Ending.FALLEN_ELSEWHERE
    assert block.timestamp > challenge.defence_ends, "court: defence may come"
    assert stands.open_games == 0, "court: a game is open"
    return IDisputeCourt.Ending.FALLEN


@internal
def _settle_bond(
    challenge: IDisputeCourt.Challenge, ending: IDisputeCourt.Ending, owed: uint256
) -> uint256:
    # What no seat is left to repay the requester comes out of the bond, as far as games that were
    # lost by a fact have earned the challenger more, whichever challenge ends first. Returns what
    # came out of it. Half rounds down, in favour of the burn.
    stands: Standing = self._standing(challenge.challenge_id)
    if ending != IDisputeCourt.Ending.STANDING:
        back: uint256 = min(owed, min(challenge.bond, stands.earned))
        self.credit_of[challenge.requester] += back
        self.credit_of[challenge.challenger] += challenge.bond - back
        return back
    half: uint256 = challenge.bond // 2
    burned: uint256 = challenge.bond - half
    self.credit_of[staticcall VAULT.operator_of(stands.winner)] += half
    self.bonds_owed -= burned
    extcall INesToken(TOKEN.address).burn(burned)
    return 0


@internal
def _slash_all(challenge: IDisputeCourt.Challenge, kept: uint256) -> uint256:
    # What honest work kept of the fee goes back to the requester out of the first seats' stakes.
    # Returns what is still owed to it.
    owed: uint256 = kept
    for signer: address in challenge.signers:
        owed -= self._slash_seat(challenge, signer, owed).repaid
    return owed


@internal
def _slash_seat(
    challenge: IDisputeCourt.Challenge, signer: address, owed: uint256
) -> IStakeVault.Slashed:
    # Takes what is left of one seat's stake for a shard of a query. Of what the vault credits, the
    # requester gets what it is owed first, the challenger the rest.
    shard: uint256 = challenge.charge.shard
    lost: uint256 = self._lost[challenge.query_id][shard][signer]
    if lost >= challenge.seat_stake:
        return empty(IStakeVault.Slashed)

    due: uint256 = challenge.seat_stake - lost
    operator: address = staticcall VAULT.operator_of(signer)
    slashed: IStakeVault.Slashed = extcall VAULT.slash(
        operator, due, challenge.challenger, challenge.requester, owed
    )
    self._lost[challenge.query_id][shard][signer] = lost + slashed.taken
    log IDisputeCourt.SignerConvicted(
        challenge_id=challenge.challenge_id,
        signer=signer,
        operator=operator,
        taken=slashed.taken,
    )
    return slashed
