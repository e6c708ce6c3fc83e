"""The handbook's files, and the arithmetic that a search is judged by."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nesa.protocol.errors import InvalidInput
from scripts.retrieval import Embedded, KnowledgeBase, agreement, embed, hit_rate, load

PASSAGE = {"id": "tea", "title": "Tea", "text": "Tea is free."}
QUERY = {"text": "What does tea cost?", "passage": "tea"}
SENTENCE = {"text": "It rains."}

EAST, NORTH, NORTH_EAST = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]


def write(folder, passages=(PASSAGE,), queries=(QUERY,), calibration=(SENTENCE,)):
    """A knowledge base of these lines."""
    files = {"passages": passages, "queries": queries, "calibration": calibration}
    for name, lines in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def base(answers):
    """Two passages, and as many queries as there are answers."""
    queries = tuple(f"query {place}" for place in range(len(answers)))
    return KnowledgeBase(("east", "north"), queries, np.array(answers), ())


def embedded(passages, queries):
    """What these vectors are after `embed`."""
    vectors = {2: np.array(passages), 3: np.array(queries)}
    return embed(lambda texts: vectors[len(texts)], base([0, 1, 1]))


def test_the_handbook_has_a_passage_for_every_query_and_no_text_twice():
    handbook = load()
    assert len(handbook.passages) >= 200
    assert len(handbook.queries) == len(handbook.answers) >= 200
    assert len(handbook.calibration) >= 64
    texts = handbook.passages + handbook.queries + handbook.calibration
    assert len(set(texts)) == len(texts)


def test_an_answer_is_the_place_of_its_passage(tmp_path):
    other = PASSAGE | {"id": "milk"}
    assert load(write(tmp_path, passages=(other, PASSAGE))).answers.tolist() == [1]


def test_a_passage_is_found_by_its_heading_too(tmp_path):
    assert load(write(tmp_path)).passages == ("Tea. Tea is free.",)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ({"queries": [QUERY | {"passage": "rum"}]}, "no passage has the id 'rum'"),
        ({"passages": [PASSAGE, PASSAGE]}, "an id is there twice"),
        ({"calibration": [SENTENCE, {}]}, "calibration.jsonl, line 2: Field required"),
        ({"queries": [QUERY | {"text": 7}]}, "queries.jsonl, line 1: .*string"),
    ],
)
def test_a_line_that_is_not_right_is_named(tmp_path, lines, problem):
    with pytest.raises(InvalidInput, match=problem):
        load(write(tmp_path, **lines))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="cannot read .*passages.jsonl"):
        load(tmp_path)


def test_lengths_of_vectors_do_not_count():
    found = embedded([EAST, NORTH], [[9.0, 1.0], [0.1, 0.2], [0.0, 30.0]])
    assert found.nearest.tolist() == [0, 1, 1]
    assert np.allclose(np.linalg.norm(found.queries, axis=1), 1)


def test_the_first_of_equally_near_passages_is_found():
    assert embedded([EAST, NORTH], [NORTH_EAST] * 3).nearest.tolist() == [0, 0, 0]


def test_hits_are_counted_against_the_meant_passages():
    found = embedded([EAST, NORTH], [EAST, NORTH, EAST])
    assert hit_rate(found, base([0, 1, 1])) == pytest.approx(2 / 3)


def test_a_model_agrees_with_itself():
    one = embedded([EAST, NORTH], [EAST, NORTH, [1.0, 2.0]])
    assert agreement(one, one).top_one == 1
    assert agreement(one, one).lowest_cosine == pytest.approx(1)


def test_agreement_is_over_passages_and_queries():
    one = embedded([EAST, NORTH], [EAST, NORTH, NORTH])
    other = embedded([EAST, NORTH], [EAST, EAST, NORTH_EAST])
    found = agreement(one, other)
    assert found.mean_cosine == pytest.approx((3 + 0 + np.sqrt(0.5)) / 5)
    assert found.lowest_cosine == pytest.approx(0)
    assert found.top_one == pytest.approx(1 / 3)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_vector_without_direction_is_refused(bad):
    with pytest.raises(InvalidInput, match="zero, NaN or infinite"):
        embedded([EAST, bad], [EAST] * 3)


def test_vectors_of_another_knowledge_base_cannot_be_compared():
    one = embedded([EAST, NORTH], [EAST] * 3)
    with pytest.raises(InvalidInput, match="of one knowledge base"):
        agreement(one, Embedded(one.passages[:1], one.queries))
