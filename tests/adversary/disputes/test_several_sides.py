"""Attacks in disputes with several sides: members in league, sham challenges, thieves."""

import boa

from nesa.chain.court import NO_VIEW
from nesa.models.disputes.game import Cause, Ended, Side
from nesa.models.disputes.moves import Pick
from nesa.models.disputes.parties import Challenger
from nesa.protocol.fees import split_fee
from nesa.protocol.outcomes import outcome_as_abi
from nesa.protocol.queries import QueryStatus
from tests.contracts.disputes.disputed import answer, ask, rich, stakes
from tests.contracts.disputes.equivocation import equivocation
from tests.deployment import EPOCH_SECONDS, REQUEST_LIMITS, UNBONDING_SECONDS
from tests.market import go_to, pass_blocks

STAKE = REQUEST_LIMITS.seat_stake
STANDING, FALLEN, FALLEN_ELSEWHERE = 1, 2, 4
CREDIT_WINDOWS = 2 * 120


def stake_of(answered, signer):
    return answered.world.lower.vault.ledger(answered.operator(signer)).stake


def nes_of(world, account):
    """What an account has, and what court and vault owe it."""
    token, vault = world.lower.token, world.lower.vault
    return token.balanceOf(account) + vault.rewards(account)


def convicted_in_their_games(case, truth, lie):
    """Every signer defends the lie in a game of its own, and loses it at the wrong element."""
    for signer in case.answered.signers(case.shard):
        ended = case.defend(signer, lie).to_the_end(Challenger(truth, case.shard))
        assert ended == Ended(Side.CHALLENGER, Cause.FACT)
    go_to(case.defence_ends + 1)
    assert case.conclude() == FALLEN


def test_a_lie_is_not_worth_its_defence(world, challenger, wrong, truth, lie):
    """A whole committee lies and defends its lie in as many games as it has members, to wear out
    the challenger: each game ends at the wrong element and costs a seat's stake, three quarters
    of it burned."""
    case, before = wrong.challenge(challenger), stakes(wrong)
    supply = world.lower.token.totalSupply()
    convicted_in_their_games(case, truth, lie)
    assert stakes(wrong) == {signer: stake - STAKE for signer, stake in before.items()}
    assert world.lower.vault.rewards(challenger) == len(before) * STAKE // 4
    assert supply - world.lower.token.totalSupply() == len(before) * STAKE * 3 // 4
    assert all(world.waiting(wrong.operator(signer)) == 0 for signer in before)


def test_the_client_is_whole_however_the_liars_were_convicted(
    world, challenger, client, wrong, truth, lie
):
    """Liars have an accomplice convict each of them in its game, so that no seat is left to repay
    what honest work kept of the client's fee: the client should have all of it back all the
    same."""
    case = wrong.challenge(challenger)
    convicted_in_their_games(case, truth, lie)
    returned = world.market.credit_of(client)[0] + world.lower.vault.rewards(client)
    assert returned + case.court.credit_of(client) == wrong.query.fee
    earned = world.lower.vault.rewards(challenger) + case.court.credit_of(challenger)
    assert earned > case.bond


def test_the_client_is_whole_whichever_challenge_ends_first(
    world, court, challenger, client, wrong, truth, lie
):
    """Liars have one accomplice convict each of them in its game and another one, whom nobody
    answers, end first: no seat is left and that one earned nothing, so what the client is owed
    comes out of the first one's bond."""
    convicting, case = wrong.challenge(challenger), wrong.challenge(rich(world, "other", court))
    for signer in wrong.signers(0):
        ended = convicting.defend(signer, lie).to_the_end(Challenger(truth, 0))
        assert ended == Ended(Side.CHALLENGER, Cause.FACT)
    go_to(case.defence_ends + 1)
    assert (case.conclude(), convicting.conclude()) == (FALLEN, FALLEN_ELSEWHERE)
    returned = world.market.credit_of(client)[0] + world.lower.vault.rewards(client)
    assert returned + court.credit_of(client) == wrong.query.fee
    assert court.credit_of(challenger) == convicting.bond - court.credit_of(client)


def test_liars_that_contradict_themselves_first_leave_the_client_its_shard(
    world, court, challenger, client, wrong
):
    """Every liar shows its own contradiction through a friend before its answer falls, so that no
    seat is left and no game has earned anything: the client gets what the fallen shard earned and
    nobody was paid, and each liar has lost three quarters of a seat to spite it of the rest."""
    friend, supply = rich(world, "friend", court), world.lower.token.totalSupply()
    for place in range(len(wrong.signers(0))):
        evidence = equivocation(wrong.works[0], place)
        court.announce(court.claim_of(friend, evidence.digest), sender=friend)
        pass_blocks(1)
        court.show_equivocation(*evidence.arguments, sender=friend)
    case = wrong.challenge(challenger)
    go_to(case.defence_ends + 1)
    assert case.conclude() == FALLEN
    split = split_fee(wrong.query)
    assert world.market.credit_of(client)[0] == split.slot * wrong.query.replicas
    assert world.lower.vault.rewards(client) + court.credit_of(client) == 0
    assert court.credit_of(challenger) == case.bond
    lost = STAKE * len(wrong.signers(0))
    assert supply - world.lower.token.totalSupply() == lost * 3 // 4 > wrong.query.fee


def test_disputed_pay_and_stake_do_not_leave(world, challenger, wrong):
    """Liars withdraw pay and stake while their answer is disputed: an open challenge freezes
    credits, exits and claims until it is over."""
    case = wrong.challenge(challenger)
    vault, signer = world.lower.vault, wrong.signers(0)[0]
    operator = wrong.operator(signer)
    place = vault.seat_of(wrong.query.version_id, operator)
    vault.leave_seat(wrong.query.version_id, *place, sender=operator)
    go_to(boa.env.timestamp + UNBONDING_SECONDS + 2 * EPOCH_SECONDS + CREDIT_WINDOWS)
    with boa.reverts("vault: seat is held"):
        vault.release_seat(wrong.query.version_id, *place)
    with boa.reverts("market: nothing to withdraw"):
        world.market.withdraw(operator)
    with boa.reverts("market: held"):
        world.market.close(*wrong.arguments)
    assert case.conclude() == FALLEN
    assert vault.ledger(operator).holds == 0


def test_a_sham_challenge_beside_the_true_one_saves_nobody(world, court, wrong, truth, lie):
    """The same at the same time: the accomplice's challenge ends first, with the answer standing,
    while the true one still runs, and the true one brings it down all the same."""
    accomplice, honest = (rich(world, name, court) for name in ("accomplice", "honest"))
    sham, case = wrong.challenge(accomplice), wrong.challenge(honest)
    first = wrong.signers(0)[0]
    sham.defend(first, lie).expire()
    assert sham.conclude() == STANDING
    assert world.lower.vault.ledger(wrong.operator(first)).holds == 1
    case.defend(first, lie).to_the_end(Challenger(truth, 0))
    go_to(case.defence_ends + 1)
    assert case.conclude() == FALLEN
    assert world.market.status_of(wrong.query.query_id) == QueryStatus.OVERTURNED


def test_a_challenge_is_not_stolen_from_the_mempool(world, court, challenger, wrong):
    """A thief copies a challenge out of a waiting transaction for its reward: challenges are
    announced by their hash a block earlier, in the announcer's name."""
    thief = rich(world, "thief", court)
    wrong.announce(challenger)
    arguments = (*wrong.arguments, 0, wrong.members(0), wrong.version, NO_VIEW.as_abi())
    with boa.reverts("court: not announced"):
        court.open_challenge(*arguments, sender=thief)
    evidence = court.challenge_evidence(wrong.query.query_id, 0, wrong.outcome.shards[0].out_digest)
    court.announce(court.claim_of(thief, evidence), sender=thief)
    with boa.reverts("court: announced just now"):
        court.open_challenge(*arguments, sender=thief)
    court.open_challenge(*arguments, sender=challenger)


def test_moves_of_others_are_refused(world, court, challenger, wrong, lie, outsider):
    """A stranger, or the other side, makes a silly move in somebody's name to lose the game for it:
    each side's moves are its own, and the signer's operator's."""
    case = wrong.challenge(challenger)
    first, second, *_ = wrong.signers(0)
    for thief in (outsider, challenger, second, wrong.operator(second)):
        with boa.reverts("court: not the defender"):
            case.defend(first, lie, sender=thief)
    match = case.defend(first, lie, sender=wrong.operator(first))
    for thief in (outsider, first, second):
        with boa.reverts("court: not the challenger"):
            match.play(Pick(0), thief)


def test_colluding_members_do_not_drag_an_honest_one_down(court, challenger, right, truth):
    """Three members of a right committee are bribed to defend and time out, so that the fourth
    loses its stake too: a timeout costs who let it pass, and one won defence lets the answer
    stand."""
    case, before = right.challenge(challenger), stakes(right)
    *bribed, honest = right.signers(0)
    games = [case.defend(signer, truth) for signer in bribed]
    for game in games:
        game.play(Pick(len(game.state.nodes) - 1), challenger)
    for game in games:
        game.expire()
    case.defend(honest, truth).expire()
    go_to(case.defence_ends + 1)
    assert case.conclude() == STANDING
    assert stake_of(right, honest) == before[honest]
    assert all(stake_of(right, one) == before[one] - case.penalty for one in bribed)


def test_honest_work_on_a_wrong_tensor_is_paid(world, challenger, client, truth, wrong):
    """A liar in the first shard wants the second, which worked honestly on its wrong tensor, to
    lose pay or stake with it: only the shard whose output is wrong falls."""
    second = wrong.signers(1)
    ledgers = {one: stake_of(wrong, one) for one in second}
    waiting = {one: world.waiting(wrong.operator(one)) for one in second}
    case = wrong.challenge(challenger)
    go_to(case.defence_ends + 1)
    assert case.conclude() == FALLEN
    assert {one: stake_of(wrong, one) for one in second} == ledgers
    assert {one: sum(world.market.credit_of(wrong.operator(one))) for one in second} == waiting


def test_an_overturned_answer_is_not_overturned_again(world, court, challenger, wrong):
    """A client has its fee returned for each challenge that its answer loses: it falls once, and
    the second challenger has its bond back and nothing else."""
    other = rich(world, "other", court)
    first, second = wrong.challenge(challenger), wrong.challenge(other)
    go_to(second.defence_ends + 1)
    owed = world.market.total_owed()
    assert first.conclude() == FALLEN
    after = world.market.total_owed()
    assert second.conclude() == FALLEN_ELSEWHERE
    assert world.market.total_owed() == after <= owed
    assert court.credit_of(other) == second.bond
    with boa.reverts("court: challenge is over"):
        first.conclude()
    with boa.reverts():
        world.market.close(wrong.query.as_abi(), outcome_as_abi(wrong.outcome))


def test_one_query_more_does_not_share_a_conviction(world, court, challenger, client, truth, lie):
    """A liar that was convicted for one query counts as punished for the next: a conviction is for
    one shard of one query."""
    answered = [answer(world, court, ask(world, client, truth), lie) for _ in range(2)]
    for one in answered:
        case, before = one.challenge(challenger), stakes(one)
        go_to(case.defence_ends + 1)
        assert case.conclude() == FALLEN
        assert stakes(one) == {s: max(stake - STAKE, 0) for s, stake in before.items()}
