"""Attacks on and behind sealed queries."""

from dataclasses import replace

import boa

from nesa.chain.court import NO_VIEW
from nesa.privacy.sealing import blind
from tests.contracts.disputes.disputed import CONTENT_KEY, after_the_defence, answer, ask

OTHER_KEY = bytes(32)
FALLEN = 2


def test_a_stranger_opens_no_sealed_query(court, challenger, sealed_right):
    """A curious stranger pays a bond to have members open a query that its client keeps: only who
    shows the blind of its input, which derives from the content key, may challenge it."""
    sealed_right.announce(challenger)
    head = (*sealed_right.arguments, 0, sealed_right.members(0), sealed_right.version)
    seen = sealed_right.view(0)
    blindly = [NO_VIEW, sealed_right.view(1), replace(seen, blind=blind(OTHER_KEY, 0))]
    for view in blindly:
        with boa.reverts("court: no view of the query"):
            court.open_challenge(*head, view.as_abi(), sender=challenger)
    court.open_challenge(*head, seen.as_abi(), sender=challenger)


def test_a_digest_that_nobody_can_open_falls(world, court, challenger, client, truth):
    """A quorum signs a digest of nothing, so that nobody can show what is wrong with it: whoever
    signed a digest has to open it."""
    query = ask(world, client, truth, content_key=CONTENT_KEY)
    wrong = answer(world, court, query, truth, content_key=OTHER_KEY)
    challenge = replace(wrong, content_key=CONTENT_KEY).challenge(challenger)
    after_the_defence(challenge)
    assert challenge.conclude() == FALLEN
