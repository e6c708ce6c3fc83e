"""Bonds are paid to the unit, one won defence saves a digest, and silence saves nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.protocol.challenges import (
    Challenge,
    Ending,
    Fallen,
    FallenElsewhere,
    Result,
    Slash,
    Stakes,
    Standing,
    Undecided,
    defended,
    resolved,
    settlement,
    verdict,
)
from nesa.protocol.errors import IllegalMove
from nesa.protocol.ids import Address
from nesa.protocol.slashing import credited

CHALLENGER, OUTSIDER = Address("0x" + "ee" * 20), Address("0x" + "dd" * 20)
CLIENT = Address("0x" + "cc" * 20)
SIGNERS = tuple(Address("0x" + f"{number:02x}" * 20) for number in range(1, 5))
STAKES = Stakes(101, 51, 1001)
OPENED = Challenge(CHALLENGER, CLIENT, SIGNERS, STAKES, 100)
ENDED = (Result.WON, Result.LOST_BY_TIME, Result.LOST_BY_FACT)


def after(*results: Result) -> Challenge:
    """A challenge that as many signers defended, with these results."""
    challenge = OPENED
    for signer, _ in zip(SIGNERS, results, strict=False):
        challenge = defended(challenge, signer, 50)
    for signer, result in zip(SIGNERS, results, strict=False):
        challenge = resolved(challenge, signer, result)
    return challenge


def test_nobody_defends_and_the_digest_falls() -> None:
    assert verdict(OPENED, 100) == Undecided()
    assert verdict(OPENED, 101) == Fallen()
    ended = settlement(OPENED, Fallen())
    assert (ended.credits, ended.burned) == ({CLIENT: 0, CHALLENGER: 101}, 0)
    assert ended.slashes == tuple(Slash(signer, 1001) for signer in SIGNERS)


def test_the_requester_is_repaid_before_the_challenger() -> None:
    ended = settlement(OPENED, Fallen(), kept=350)
    assert ended.slashes == (
        Slash(SIGNERS[0], 1001, 350),
        Slash(SIGNERS[1], 1001, 100),
        Slash(SIGNERS[2], 1001),
        Slash(SIGNERS[3], 1001),
    )
    assert ended.credits == {CLIENT: 0, CHALLENGER: 101}


def test_who_has_no_stake_left_repays_nothing() -> None:
    ended = settlement(OPENED, Fallen(), kept=300, stakes={SIGNERS[0]: 0, SIGNERS[1]: 301})
    assert [slash.owed for slash in ended.slashes] == [300, 300, 225, 0]


@pytest.mark.parametrize(
    ("kept", "earned", "back"), [(30, 1000, 30), (300, 1000, 101), (300, 50, 50), (30, 0, 0)]
)
def test_who_earned_by_facts_repays_what_no_seat_is_left_to(kept, earned, back) -> None:
    ended = settlement(OPENED, Fallen(), kept, SIGNERS, earned=earned)
    assert ended.slashes == ()
    assert ended.credits == {CLIENT: back, CHALLENGER: 101 - back}


def test_nobody_loses_a_seat_twice_for_one_shard() -> None:
    challenge = after(Result.LOST_BY_FACT, Result.LOST_BY_TIME)
    ended = settlement(challenge, Fallen(), convicted={SIGNERS[2]})
    assert ended.slashes == (
        Slash(SIGNERS[0], 1001),
        Slash(SIGNERS[1], 51),
        Slash(SIGNERS[1], 1001),
        Slash(SIGNERS[3], 1001),
    )


def test_one_won_defence_is_enough() -> None:
    challenge = after(Result.LOST_BY_FACT, Result.LOST_BY_TIME, Result.WON)
    assert verdict(challenge, 60) == Standing(SIGNERS[2])
    ended = settlement(challenge, Standing(SIGNERS[2]))
    assert (ended.credits, ended.burned) == ({SIGNERS[2]: 50}, 51)
    assert ended.slashes == (
        Slash(SIGNERS[0], 1001),
        Slash(SIGNERS[1], 51),
    )


def test_a_lost_defence_does_not_decide_before_the_window_ends() -> None:
    """A false friend loses at once, and the honest signers can still come."""
    challenge = after(Result.LOST_BY_FACT)
    assert verdict(challenge, 100) == Undecided()
    saved = resolved(defended(challenge, SIGNERS[1], 100), SIGNERS[1], Result.WON)
    assert verdict(saved, 500) == Standing(SIGNERS[1])
    assert verdict(challenge, 101) == Fallen()


def test_an_open_game_is_waited_for() -> None:
    challenge = defended(OPENED, SIGNERS[0], 100)
    assert verdict(challenge, 10_000) == Undecided()
    assert verdict(resolved(challenge, SIGNERS[0], Result.LOST_BY_TIME), 10_000) == Fallen()


def test_who_may_not_defend_is_refused() -> None:
    with pytest.raises(IllegalMove, match="did not sign"):
        defended(OPENED, OUTSIDER, 50)
    with pytest.raises(IllegalMove, match="time to defend is over"):
        defended(OPENED, SIGNERS[0], 101)
    with pytest.raises(IllegalMove, match="defends already"):
        defended(defended(OPENED, SIGNERS[0], 50), SIGNERS[0], 50)
    with pytest.raises(IllegalMove, match="time to defend is over"):
        defended(after(Result.WON), SIGNERS[1], 50)
    with pytest.raises(IllegalMove, match="no open game"):
        resolved(OPENED, SIGNERS[0], Result.WON)
    with pytest.raises(IllegalMove, match="no open game"):
        resolved(defended(OPENED, SIGNERS[0], 50), SIGNERS[0], Result.OPEN)


def test_a_challenge_that_another_one_forestalled_gets_its_bond_back() -> None:
    challenge = defended(OPENED, SIGNERS[0], 50)
    ended = settlement(challenge, FallenElsewhere())
    assert (ended.credits, ended.burned, ended.slashes) == ({CLIENT: 0, CHALLENGER: 101}, 0, ())


def test_what_another_challenge_left_owing_comes_out_of_what_games_earned() -> None:
    ended = settlement(after(Result.LOST_BY_FACT), FallenElsewhere(), 70, {SIGNERS[0]}, earned=50)
    assert (ended.credits, ended.burned, ended.slashes) == ({CLIENT: 50, CHALLENGER: 51}, 0, ())


@given(
    stakes=st.builds(Stakes, *[st.integers(0, 10**6)] * 3),
    results=st.lists(st.sampled_from((*ENDED, Result.OPEN)), max_size=4),
    itself=st.booleans(),
    kept=st.integers(0, 10**6),
    convicted=st.sets(st.sampled_from(SIGNERS)),
)
def test_a_bond_is_paid_to_the_unit(stakes, results, itself, kept, convicted) -> None:
    challenger = SIGNERS[0] if itself else CHALLENGER
    defences = tuple(zip(SIGNERS, results, strict=False))
    challenge = Challenge(challenger, CLIENT, SIGNERS, stakes, 100, defences)
    won = [signer for signer, result in defences if result is Result.WON]
    endings: list[Ending] = [Standing(won[0])] if won else [Fallen(), FallenElsewhere()]
    for ending in endings:
        ended = settlement(challenge, ending, kept, convicted)
        assert sum(ended.credits.values()) + ended.burned == stakes.bond
        assert ended.burned >= 0
        for signer in SIGNERS:
            taken = sum(slash.amount for slash in ended.slashes if slash.signer == signer)
            assert taken <= stakes.seat_stake + stakes.penalty
            assert signer not in convicted or taken in (0, stakes.penalty)
        repaid = sum(min(slash.owed, credited(slash.amount)) for slash in ended.slashes)
        assert repaid <= kept
