"""Sealed queries whose answers are proved: what is ordered, and what comes back."""

from dataclasses import replace

import pytest

from nesa.client.answers import SubmittedQuery
from nesa.client.cards import Model
from nesa.client.hybrid.offers import Limits, task_of, who_reads
from nesa.client.hybrid.rule import ROWS, Offered, Way, obstacle
from nesa.client.modes import Auto, Open, Sealed, kind_of
from nesa.client.ordering import make_order, sealed_order
from nesa.client.results import plain_output
from nesa.models.folder import load
from nesa.models.proving.hashing import tensor_hash
from nesa.privacy.sealing import input_digest, open_input, proof_blind, seal_answer
from nesa.protocol.circuits import CircuitKind
from nesa.protocol.digests import boundary_digest
from nesa.protocol.errors import InvalidInput, InvalidMessage
from nesa.protocol.ids import Amount, Digest, VersionId
from nesa.protocol.queries import Assurance, Privacy
from tests.miner.committee_network import proved_request
from tests.models.proving.shards import MODELS

PROVED = Assurance.PROVED
KEY, OTHER_KEY = b"\x01" * 32, b"\x02" * 32
HASHED = load(MODELS / "hashed/breast-cancer-mlp-hashed")
PUBLIC = load(MODELS / "breast-cancer-mlp")
INPUT = bytes(HASHED.input_edge.nbytes)
ANSWER = bytes(range(HASHED.output_edge.nbytes))
HIDDEN = HASHED.card.model_copy(update={"circuits": CircuitKind.HASHED_ANSWER})


def offered(card) -> Model:
    return Model(VersionId(bytes(32)), card.name, "", card, 0)


def order(card, assurance="PROVED", sealed=True):
    return make_order(offered(card), assurance, sealed, None)


def submitted(key=KEY, **changes) -> SubmittedQuery:
    query = replace(proved_request(HASHED, 0).query, privacy=Privacy.SEALED, **changes)
    return SubmittedQuery(query, Digest(bytes(32)), 0, key)


def hidden(answer, blind_key=KEY) -> bytes:
    """What a prover puts on chain for an answer that is not shown."""
    query = submitted().query
    ciphertext = seal_answer(KEY, query.version_id, query.input_digest, answer)
    return tensor_hash(HASHED.output_edge, ANSWER, proof_blind(blind_key)) + ciphertext


def test_a_proved_order_shows_what_its_proof_will():
    ordered, ciphertext = sealed_order(order(HASHED.card), offered(HASHED.card), INPUT, KEY)
    assert (ordered.assurance, ordered.privacy, ordered.replicas) == (PROVED, Privacy.SEALED, 1)
    assert ordered.input_digest == tensor_hash(HASHED.input_edge, INPUT, proof_blind(KEY))
    assert open_input(KEY, ordered.version_id, ciphertext) == INPUT
    again, _ = sealed_order(order(HASHED.card), offered(HASHED.card), INPUT, OTHER_KEY)
    assert again.input_digest != ordered.input_digest


@pytest.mark.parametrize("assurance", ["AGREED", "CHALLENGED"])
def test_other_assurances_show_a_blinded_digest(assurance):
    model = offered(HASHED.card)
    ordered, _ = sealed_order(order(HASHED.card, assurance), model, INPUT, KEY)
    plain = boundary_digest([HASHED.input_edge], [INPUT])
    assert ordered.input_digest == input_digest(KEY, plain)


@pytest.mark.parametrize(
    ("card", "public_answer", "chosen"),
    [(HASHED.card, False, False), (HASHED.card, True, True), (HIDDEN, False, True)],
)
def test_no_answer_of_critical_data_is_made_public_unasked(card, public_answer, chosen):
    """Most hashed circuits show it, for a contract to act on."""
    auto = Auto("critical", public_answer=public_answer)
    task = task_of(offered(card), auto, Limits(), provable=True)
    found = obstacle(ROWS[0], task, Offered(Amount(1), 2, 1, 0, 60))
    assert isinstance(found, Offered) is chosen
    if not chosen:
        assert "shows the answer to everybody, for good" in str(found)


def test_a_plan_says_whether_a_proof_shows_the_answer():
    def shown(card, mode, assurance):
        way = Way(kind_of(mode), Assurance[assurance])
        return who_reads(offered(card), mode, way, Limits()).answer_shown

    assert shown(HASHED.card, Sealed(), "PROVED")
    assert not shown(HIDDEN, Sealed(), "PROVED")
    assert not shown(HASHED.card, Sealed(), "AGREED")
    assert not shown(PUBLIC.card, Open(), "PROVED"), "of an open query nothing is sealed"


def test_circuits_that_show_the_input_prove_no_critical_query():
    task = task_of(offered(PUBLIC.card), Auto("critical"), Limits(), provable=True)
    assert not task.provable


def test_proofs_that_show_the_input_are_not_asked_sealed():
    with pytest.raises(InvalidInput, match="show the input"):
        order(PUBLIC.card)
    assert order(PUBLIC.card, sealed=False).privacy is Privacy.OPEN
    assert order(PUBLIC.card, "CHALLENGED").privacy is Privacy.SEALED


def test_proofs_that_hide_the_input_are_not_asked_open():
    with pytest.raises(InvalidInput, match=r"hide the input.*--sealed"):
        order(HASHED.card, sealed=False)
    with pytest.raises(InvalidInput, match="hide the input"):
        order(HASHED.card.model_copy(update={"reference_string": None}), sealed=False)


def test_an_answer_that_everybody_sees_is_read_without_a_key():
    assert plain_output(submitted(None), HASHED.card, ANSWER) == ANSWER


def test_a_hidden_answer_is_opened_and_compared_with_what_was_proved():
    assert plain_output(submitted(), HIDDEN, hidden(ANSWER)) == ANSWER
    with pytest.raises(InvalidMessage, match="another answer than the one that it proved"):
        plain_output(submitted(), HIDDEN, hidden(ANSWER[::-1]))
    with pytest.raises(InvalidMessage, match="another answer than the one that it proved"):
        plain_output(submitted(), HIDDEN, hidden(ANSWER, OTHER_KEY))
    with pytest.raises(InvalidMessage, match="does not open"):
        plain_output(submitted(OTHER_KEY), HIDDEN, hidden(ANSWER))
    with pytest.raises(InvalidMessage, match="does not open"):
        plain_output(submitted(), HIDDEN, hidden(ANSWER)[:40])
    with pytest.raises(InvalidInput, match="content key"):
        plain_output(submitted(None), HIDDEN, hidden(ANSWER))


def test_an_agreed_answer_of_such_a_version_is_opened_as_ever():
    query = submitted(assurance=Assurance.AGREED)
    terms = query.query
    sealed = seal_answer(KEY, terms.version_id, terms.input_digest, ANSWER)
    for card in (HASHED.card, HIDDEN):
        assert plain_output(query, card, sealed) == ANSWER
