# pragma version ~=0.4.3
# pragma optimize gas
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
from ..lib import signature
from ..lib import tensor_digest
from ..lib import tenure
from ..lib import version_identity

# How a challenge stands: games that are open, the first signer who won one, whether it is over, and
# what games that were lost by a fact have earned the challenger.
struct Standing:
    open_games: uint256
    winner: address
    is_over: bool
    earned: uint256

# The hash of a position, zero once the game has ended; until when the next move has to come, and
# whose it is.
struct Game:
    position: bytes32
    deadline: uint256
    is_defenders: bool

# Challenges of one shard of a query: how many are open, what became of its output, and what no
# seat was left to repay the requester.
struct Dispute:
    open_challenges: uint256
    has_fallen: bool
    is_fault_shown: bool
    owed: uint256

PROTOCOL_VERSION: constant(uint256) = 1
CLAIM_DOMAIN: constant(bytes32) = keccak256("nesa.claim.v1")
CHALLENGE_DOMAIN: constant(bytes32) = keccak256("nesa.challenge.v1")
BPS: constant(uint256) = 10_000
MAX_SIGNERS: constant(uint256) = 8

TOKEN: immutable(IERC20)
PARAMETERS: immutable(IProtocolParameters)
REGISTRY: immutable(IModelRegistry)
ROUTER: immutable(IProofRouter)
VAULT: immutable(IStakeVault)
MARKET: immutable(IQueryMarket)
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
_standings: HashMap[uint256, Standing]
_games: HashMap[uint256, HashMap[address, Game]]
_disputes: HashMap[uint256, HashMap[uint256, Dispute]]


@deploy
def __init__(
    token: address,
    parameters: address,
    registry: address,
    router: address,
    vault: address,
    market: address,
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
    @param game Rules of the element game.
    @param conviction Who asks the judges.
    """
    given: address[8] = [token, parameters, registry, router, vault, market, game, conviction]
    assert empty(address) not in given, "court: no contract"
    TOKEN = IERC20(token)
    PARAMETERS = IProtocolParameters(parameters)
    REGISTRY = IModelRegistry(registry)
    ROUTER = IProofRouter(router)
    VAULT = IStakeVault(vault)
    MARKET = IQueryMarket(market)
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
def show_equivocation(
    shard: IDisputeCourt.Shard, first: IDisputeCourt.Statement, second: IDisputeCourt.Statement
) -> uint256:
    """
    @notice Convicts a member that signed two outputs of one input; see `IDisputeCourt`.
    """
    self._check_announced(keccak256(abi_encode(shard, first, second)))
    assert first.out_digest != second.out_digest, "court: one output"
    signer: address = self._signer_of(shard, first)
    assert signer == self._signer_of(shard, second), "court: two signers"
    operator: address = staticcall VAULT.operator_of(signer)
    assert operator != empty(address), "court: no operator"
    # The query may be one to come, and the operator without stake: only what was taken counts.
    lost: uint256 = self._lost[shard.query_id][shard.shard][signer]
    stake: uint256 = self._limits().seat_stake
    assert lost < stake, "court: convicted before"

    taken: uint256 = extcall VAULT.slash(operator, stake - lost, msg.sender, stake - lost)
    self._lost[shard.query_id][shard.shard][signer] = lost + taken

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
    challenge: IDisputeCourt.Challenge = self._challenge(
        query, outcome, shard, members, version, view
    )
    limits: IProtocolParameters.RequestLimits = self._limits()
    challenge.bond = limits.seat_stake * limits.challenger_bond_bps // BPS
    self.bonds_owed += challenge.bond
    self._open(challenge, query, outcome)

    paid: bool = extcall TOKEN.transferFrom(
        msg.sender, self, challenge.bond, default_return_value=True
    )
    assert paid, "court: no bond"
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
    challenge: IDisputeCourt.Challenge = self._challenge(
        query, outcome, shard, members, version, empty(IDisputeCourt.View)
    )
    assert not self._disputes[query.query_id][shard].is_fault_shown, "court: fault shown before"
    self._disputes[query.query_id][shard].is_fault_shown = True
    self._check_fault(query.version_id, challenge.charge, input, output, proof)
    self._open(challenge, query, outcome)
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
    game: Game = self._games[challenge.challenge_id][signer]
    assert game.deadline == 0, "court: defends already"

    self._standings[challenge.challenge_id].open_games += 1
    opened: Bytes[2304] = staticcall GAME.opened(challenge.charge)
    self._advance(challenge, signer, opened, move)


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
    self._check_timely(challenge.challenge_id, signer, position)
    if self._games[challenge.challenge_id][signer].is_defenders:
        self._check_defender(signer)
    else:
        self._check_challenger(challenge)
    self._advance(challenge, signer, position, move)


@external
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
    self._check_timely(challenge.challenge_id, signer, position)
    is_wrong: bool = staticcall CONVICTION.convicts(position, accusation)
    assert is_wrong, "court: nothing is wrong"

    self._end_game(challenge.challenge_id, signer, IDisputeCourt.GameResult.LOST_BY_FACT)
    repaid: uint256 = 0
    rewarded: uint256 = 0
    repaid, rewarded = self._slash_seat(challenge, signer, 0)
    self._standings[challenge.challenge_id].earned += rewarded


@external
def expire(challenge: IDisputeCourt.Challenge, signer: address):
    """
    @notice Ends a game by time; see `IDisputeCourt`.
    """
    self._check_undecided(challenge)
    game: Game = self._games[challenge.challenge_id][signer]
    assert game.position != empty(bytes32), "court: no open game"
    assert block.timestamp > game.deadline, "court: there is time left"

    if game.is_defenders:
        self._end_game(challenge.challenge_id, signer, IDisputeCourt.GameResult.LOST_BY_TIME)
        operator: address = staticcall VAULT.operator_of(signer)
        extcall VAULT.slash(operator, challenge.penalty, challenge.challenger, challenge.penalty)
    else:
        self._standings[challenge.challenge_id].winner = signer
        self._end_game(challenge.challenge_id, signer, IDisputeCourt.GameResult.WON)


@external
def conclude(
    challenge: IDisputeCourt.Challenge,
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
) -> IDisputeCourt.Ending:
    """
    @notice Ends a challenge that is decided; see `IDisputeCourt`.
    """
    self._check_open(challenge)
    assert query.query_id == challenge.query_id, "court: another query"
    shard: uint256 = challenge.charge.shard
    dispute: Dispute = self._disputes[query.query_id][shard]
    ending: IDisputeCourt.Ending = self._ending(challenge, dispute.has_fallen)
    dispute.open_challenges -= 1
    dispute.has_fallen = dispute.has_fallen or ending == IDisputeCourt.Ending.FALLEN
    self._standings[challenge.challenge_id].is_over = True

    if ending == IDisputeCourt.Ending.FALLEN:
        kept: uint256 = extcall MARKET.overturn(query, outcome, shard)
        dispute.owed = self._slash_all(challenge, kept)
    elif dispute.open_challenges == 0 and not dispute.has_fallen:
        extcall MARKET.release(query, outcome, shard, self._payees(challenge.signers))
    for signer: address in challenge.signers:
        extcall VAULT.release_hold(staticcall VAULT.operator_of(signer))
    dispute.owed -= self._settle_bond(challenge, ending, dispute.owed)
    self._disputes[query.query_id][shard] = dispute
    log IDisputeCourt.ChallengeEnded(
        challenge_id=challenge.challenge_id, query_id=query.query_id, ending=ending
    )
    return ending


@external
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
    return self._disputes[query_id][shard].has_fallen


@external
@view
def standing(challenge_id: uint256) -> (uint256, address, bool):
    """
    @notice How a challenge stands; see `IDisputeCourt`.
    """
    stands: Standing = self._standings[challenge_id]
    return stands.open_games, stands.winner, stands.is_over


@external
@view
def game(challenge_id: uint256, signer: address) -> (bytes32, uint256, bool):
    """
    @notice Where a game stands; see `IDisputeCourt`.
    """
    game: Game = self._games[challenge_id][signer]
    return game.position, game.deadline, game.is_defenders


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
def _signer_of(
    shard: IDisputeCourt.Shard, statement: IDisputeCourt.Statement
) -> address:
    # Who signed the statement, provided that its commitment in the set is to this work.
    assert statement.position < len(statement.commitments), "court: no such place"
    work: attestation.Work = attestation.Work(
        market=MARKET.address,
        query_id=shard.query_id,
        attempt=shard.attempt,
        seed=shard.seed,
        shard=shard.shard,
        round=statement.round,
        in_digest=shard.in_digest,
        out_digest=statement.out_digest,
    )
    set_digest: bytes32 = attestation.set_digest(work, statement.commitments)
    attested: bytes32 = attestation.attestation_hash(work, statement.payload_hash, set_digest)
    signer: address = signature.signer_of(attested, statement.r, statement.vs)
    assert signer != empty(address), "court: no signature"
    opened: bytes32 = attestation.commitment(work, signer, statement.salt)
    assert opened == statement.commitments[statement.position], "court: not committed"
    return signer


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
def _challenge(
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
    shard: uint256,
    members: DynArray[address, MAX_SIGNERS],
    version: IDisputeCourt.Version,
    view: IDisputeCourt.View,
) -> IDisputeCourt.Challenge:
    # What the caller challenges, but for a bond.
    assert staticcall MARKET.verify_outcome(query, outcome), "court: another outcome"
    assert shard < query.shards, "court: no such shard"
    settled: IQueryMarket.ShardOutcome = outcome.shards[shard]
    self._check_announced(self._challenge_evidence(query.query_id, shard, settled.out_digest))
    self._check_not_fallen(query.query_id, shard)
    self._check_version(query.version_id, version)

    in_digest: bytes32 = query.input_digest
    if shard != 0:
        in_digest = outcome.shards[shard - 1].out_digest
    if query.privacy == IQueryMarket.Privacy.SEALED:
        # Only who holds the content key can tell: the client, its committee, whom it lets see.
        shown: bytes32 = tensor_digest.blinded(view.in_digest, view.blind)
        assert shown == in_digest, "court: no view of the query"
        in_digest = view.in_digest
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
            out_digest=settled.out_digest,
        ),
        signers=self._signers(members, settled),
        seat_stake=limits.seat_stake,
        bond=0,
        penalty=limits.seat_stake * limits.defence_penalty_bps // BPS,
        defence_ends=block.timestamp + rules.defence_window,
        move_window=rules.move_window,
    )


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
def _open(
    challenge: IDisputeCourt.Challenge,
    query: IQueryMarket.Query,
    outcome: IQueryMarket.Outcome,
):
    # Keeps a challenge; the first one of a shard stops the query.
    shard: uint256 = challenge.charge.shard
    others: uint256 = self._disputes[query.query_id][shard].open_challenges
    self._disputes[query.query_id][shard].open_challenges = others + 1
    self._last_challenge_id = challenge.challenge_id
    self._challenges[challenge.challenge_id] = self._challenge_hash(challenge)
    log IDisputeCourt.ChallengeOpened(
        challenge_id=challenge.challenge_id,
        challenger=msg.sender,
        query_id=query.query_id,
        challenge=challenge,
    )

    if others == 0:
        extcall MARKET.hold(query, outcome, shard, self._payees(challenge.signers))
    for signer: address in challenge.signers:
        extcall VAULT.hold(staticcall VAULT.operator_of(signer))


@internal
@view
def _payees(signers: DynArray[address, MAX_SIGNERS]) -> DynArray[uint256, MAX_SIGNERS]:
    # Whom the market credited for these signers' work.
    payees: DynArray[uint256, MAX_SIGNERS] = []
    for signer: address in signers:
        operator: address = staticcall VAULT.operator_of(signer)
        payees.append(tenure.payee_of(staticcall VAULT.operator_number(operator)))
    return payees


# === Games ===


@internal
@pure
def _challenge_hash(challenge: IDisputeCourt.Challenge) -> bytes32:
    return keccak256(abi_encode(challenge))


@internal
@view
def _check_open(challenge: IDisputeCourt.Challenge):
    kept: bytes32 = self._challenges[challenge.challenge_id]
    assert kept == self._challenge_hash(challenge), "court: another challenge"
    assert not self._standings[challenge.challenge_id].is_over, "court: challenge is over"


@internal
@view
def _check_undecided(challenge: IDisputeCourt.Challenge):
    # Nobody loses by a game whose outcome changes nothing any more.
    self._check_open(challenge)
    winner: address = self._standings[challenge.challenge_id].winner
    assert winner == empty(address), "court: digest is defended"
    self._check_not_fallen(challenge.query_id, challenge.charge.shard)


@internal
@view
def _check_not_fallen(query_id: uint256, shard: uint256):
    assert not self._disputes[query_id][shard].has_fallen, "court: has fallen"


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
def _check_timely(challenge_id: uint256, signer: address, position: Bytes[2304]):
    # The game stands there and waits for a move.
    game: Game = self._games[challenge_id][signer]
    assert game.position == keccak256(position), "court: another position"
    assert block.timestamp <= game.deadline, "court: too late"


@internal
def _advance(
    challenge: IDisputeCourt.Challenge,
    signer: address,
    position: Bytes[2304],
    move: Bytes[16384],
):
    next: Bytes[2304] = b""
    is_defenders: bool = False
    next, is_defenders = staticcall GAME.play(position, move)
    deadline: uint256 = block.timestamp + challenge.move_window
    self._games[challenge.challenge_id][signer] = Game(
        position=keccak256(next), deadline=deadline, is_defenders=is_defenders
    )
    log IDisputeCourt.Moved(
        challenge_id=challenge.challenge_id, defender=signer, move=move, deadline=deadline
    )


@internal
def _end_game(challenge_id: uint256, signer: address, result: IDisputeCourt.GameResult):
    self._games[challenge_id][signer].position = empty(bytes32)
    self._standings[challenge_id].open_games -= 1
    log IDisputeCourt.GameEnded(challenge_id=challenge_id, defender=signer, result=result)


# === Endings ===


@internal
@view
def _ending(
    challenge: IDisputeCourt.Challenge, has_fallen: bool
) -> IDisputeCourt.Ending:
    stands: Standing = self._standings[challenge.challenge_id]
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
    stands: Standing = self._standings[challenge.challenge_id]
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
        repaid: uint256 = 0
        rewarded: uint256 = 0
        repaid, rewarded = self._slash_seat(challenge, signer, owed)
        owed -= repaid
    return owed


@internal
def _slash_seat(
    challenge: IDisputeCourt.Challenge, signer: address, owed: uint256
) -> (uint256, uint256):
    # Takes what is left of one seat's stake for a shard of a query. Half of it is rewards: what is
    # owed to the requester first, the rest to the challenger. Returns what each of them got.
    shard: uint256 = challenge.charge.shard
    lost: uint256 = self._lost[challenge.query_id][shard][signer]
    if lost >= challenge.seat_stake:
        return 0, 0

    due: uint256 = challenge.seat_stake - lost
    operator: address = staticcall VAULT.operator_of(signer)
    back: uint256 = min(owed, due // 2)
    repaid: uint256 = 0
    if back != 0:
        repaid = extcall VAULT.slash(operator, 2 * back, challenge.requester, back)
    rest: uint256 = due - 2 * back
    taken: uint256 = extcall VAULT.slash(operator, rest, challenge.challenger, rest)
    self._lost[challenge.query_id][shard][signer] = lost + repaid + taken
    log IDisputeCourt.SignerConvicted(
        challenge_id=challenge.challenge_id,
        signer=signer,
        operator=operator,
        taken=repaid + taken,
    )
    return repaid // 2, taken // 2
