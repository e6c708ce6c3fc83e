"""The list of attacks is complete, and says of each what it is about."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.adversary.catalogue import ABSENT, KNOWN, README, Attack, attacks, written

ATTACKS = attacks()


def test_the_tables_are_those_of_the_tests():
    text = README.read_text()
    assert text == written(text), "run python -m tests.adversary.catalogue"
    assert all(text.count(attack.row) == 1 for attack in ATTACKS)


def test_every_known_attack_is_tested_or_said_to_be_absent():
    names = {attack.name for attack in ATTACKS}
    assert set(ABSENT) <= KNOWN
    assert KNOWN - names == set(ABSENT)


def test_no_name_is_given_twice():
    names = Counter(attack.name for attack in ATTACKS)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_says_what_the_attacker_wants(attack: Attack):
    assert attack.story.endswith("."), f"{attack.name} tells no story"
    if attack.name in KNOWN:
        assert attack.story.count(". ") == 0, "one sentence"
        assert ": " in attack.story, "what the attacker wants: what stops it"
