"""The one argument that says how private a query is: its forms, and what does not go with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nesa import Auto, Client, Equivariant, InvalidInput, Model, Open, Privacy, Sealed, Split
from nesa.client.modes import (
    AsVersion,
    Shared,
    key_of,
    kind_of,
    market_mode,
    read_mode,
    require_terms,
    seal_of,
    with_content_key,
)

HELD: Any = "a user's key"
WHOLE: Any = "a split model"
PUBLIC: Any = "a public model"
KEY = bytes(range(32))


def test_the_two_simplest_have_names() -> None:
    assert read_mode("open") == Open()
    assert read_mode("Sealed") == Sealed()
    assert read_mode(mode := Shared(PUBLIC)) is mode


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("auto", r'Auto\("personal"\)'),
        ("equivariant", r"Equivariant\(key\)"),
        ("split", r"Split\(model\)"),
        ("shared", r"Shared\(model\)"),
        ("secret", "privacy is open, sealed"),
        (None, "privacy is open, sealed"),
        (True, "privacy is open, sealed"),
    ],
)
def test_a_name_that_does_not_say_enough_is_told_what_to_give(given: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_mode(given)


@pytest.mark.parametrize(
    ("mode", "kind", "is_sealed"),
    [
        (Open(), Privacy.OPEN, False),
        (Sealed(), Privacy.SEALED, True),
        (Equivariant(HELD), Privacy.EQUIVARIANT, True),
        (Equivariant(HELD, sealed=False), Privacy.EQUIVARIANT, False),
        (Split(WHOLE), Privacy.SPLIT, True),
        (Split(WHOLE, sealed=False), Privacy.SPLIT, False),
        (Split(WHOLE, sealed=Sealed(KEY)), Privacy.SPLIT, True),
    ],
)
def test_a_mode_is_sealed_with_the_key_that_it_is_given(
    mode: AsVersion, kind: Privacy, is_sealed: bool
) -> None:
    assert kind_of(mode) is kind
    keyed = with_content_key(mode, KEY)
    assert kind_of(keyed) is kind
    assert key_of(keyed) is key_of(mode)
    assert seal_of(keyed) == (Sealed(KEY) if is_sealed else None)


def test_keys_are_not_printed() -> None:
    assert KEY.hex() not in repr(Sealed(KEY))
    assert str(KEY) not in repr(Sealed(KEY))
    assert HELD not in repr(Equivariant(HELD))
    assert HELD not in repr(Auto("public", equivariant=HELD))


def test_there_are_three_sensitivities() -> None:
    with pytest.raises(InvalidInput, match="choose one of public, personal, critical"):
        Auto("secret")


def test_what_a_mode_chooses_or_does_not_know_is_refused() -> None:
    require_terms(Split(WHOLE), "PROVED", 3, 1)
    require_terms(Auto("public"), None, 3, 1)
    with pytest.raises(InvalidInput, match="chooses the assurance"):
        require_terms(Auto("public"), "AGREED")
    for terms in (("AGREED", None, 0), (None, None, 1)):
        with pytest.raises(InvalidInput, match="reported by nobody"):
            require_terms(Shared(PUBLIC), *terms)
    with pytest.raises(InvalidInput, match="replicas=…"):
        require_terms(Shared(PUBLIC), None, 3)


def test_the_market_carries_three_modes() -> None:
    for mode in (Open(), Sealed(), Equivariant(HELD)):
        assert market_mode(mode) is mode
    for other, reason in (
        (Split(WHOLE), "finished here"),
        (Shared(PUBLIC), "not on the market"),
        (Auto("public"), "says it first"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            market_mode(other)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"privacy": "auto"}, r'Auto\("public"\)'),
        ({"privacy": Auto("public"), "assurance": "AGREED"}, "chooses the assurance"),
        ({"privacy": Shared(PUBLIC), "gas_deposit": 1}, "leave out the assurance"),
        ({"privacy": Sealed(), "assurance": "SURE"}, "'SURE' is no assurance"),
    ],
)
async def test_terms_that_contradict_each_other_are_not_asked(
    client: Client, model: Model, features: np.ndarray, terms: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        await client.ask(model, features, **terms)
