"""The pages and the picture say what was found, and text is what it should be."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.privacy import scoreboard
from benchmarks.privacy.corpus import paragraphs
from benchmarks.privacy.page import details_page, text_page
from nesa.privacy.battery.findings import Attack, Finding, Measure
from nesa.privacy.battery.picture import Score, picture
from nesa.privacy.battery.views import Observer, Public, Secret, View

READ = Finding(Attack.T1, Measure.TOKENS, 0.97, 0.00003, 0.01, "depth 0: rows compared")
GUESSED = Finding(Attack.T1, Measure.TOKENS, 0.001, 0.00003, 0.01, "depth 0: rows compared")


def test_the_page_marks_what_is_read_and_not_what_is_guessed():
    page = text_page(
        [
            Score("net", Observer.SPLIT_MEMBER, (READ,), 0.0),
            Score("net", Observer.SHARED_MEMBER, (GUESSED,), 0.0),
        ]
    )
    assert "| SPLIT, the network's part | nothing |  | **97.0% (0.003%)** |" in page
    assert "| SHARED, one group | chance: held |  | 0.1% (0.003%, up to 1.0%) |" in page
    assert all(f"* **{attack.name}** " in page for attack in Attack)


def test_a_claim_shows_the_run_that_comes_nearest_to_breaking_it():
    weak = replace(GUESSED, recovery=0.1, slack=0.5)
    page = text_page([Score("net", Observer.SHARED_MEMBER, (weak, READ, GUESSED), 0.0)])
    assert "| **97.0% (0.003%, up to 1.0%)** |" in page


def test_everything_that_was_tried_is_on_a_page_of_its_own():
    scores = [Score("net", Observer.SHARED_MEMBER, (READ, GUESSED), 0.0)]
    assert "| **97.00%** | 0.003% | 1.0% | tokens read |" in details_page(scores)
    assert "depth 0: rows compared" not in text_page(scores)


def test_the_page_says_where_a_claim_is_broken():
    page = text_page([Score("net", Observer.SHARED_MEMBER, (READ,), 0.0)])
    assert "chance: BROKEN" in page


@pytest.mark.parametrize("observer", [Observer.SHARED_MEMBER, Observer.SPLIT_MEMBER])
def test_a_broken_claim_fails_the_run(tmp_path, monkeypatch, capsys, observer):
    """Where nothing is claimed, nothing can break."""
    scores = [Score("net", observer, (READ,), 0.0)]
    monkeypatch.setattr(scoreboard, "_record_scores", lambda board: board.scores.extend(scores))
    arguments = ["--without-text", "--scores", str(tmp_path / "scores.json")]
    if observer is Observer.SPLIT_MEMBER:
        scoreboard.main(arguments)
    else:
        with pytest.raises(
            SystemExit, match=r"net: SHARED, one group claims chance, and T1"
        ) as end:
            scoreboard.main(arguments)
        assert end.value.code  # text, which python prints before it exits with 1
    assert "# Privacy scoreboard" in capsys.readouterr().out


def test_a_file_of_scores_is_taken_by_whose_they_are(tmp_path):
    """Rows may come in another order, and new ones between them."""
    held = [
        Score("net", Observer.SPLIT_MEMBER, (READ,), 1.0),
        Score("net", Observer.SPLIT_MEMBER, (GUESSED,), 2.0),
        Score("other", Observer.OPEN_MEMBER, (), 3.0),
    ]
    file = tmp_path / "scores.json"
    file.write_bytes(scoreboard.SCORES.dump_json(held))
    board = scoreboard.Board(file)
    items = np.arange(4)[:, None]
    public = Public(
        4, lambda items, depth: items[..., None].astype(np.float32), items, np.full(1, -1)
    )
    made = View(Observer.OPEN_MEMBER, identifiers=items)

    def add(model, observer, see):
        board.add(model, public, Secret(items), scoreboard.RECORDS, observer, see)

    add("net", Observer.OPEN_MEMBER, lambda: made)
    written = scoreboard.SCORES.validate_json(file.read_bytes())
    assert [each.seconds for each in written[1:]] == [1.0, 2.0, 3.0]
    for _ in range(2):
        add("net", Observer.SPLIT_MEMBER, lambda: pytest.fail("it is in the file"))
    assert board.scores[0].findings[0].recovery == 1.0
    assert board.scores[1:] == held[:2]


def test_the_picture_is_drawn_to_scale():
    drawn = ElementTree.fromstring(picture([Score("net", Observer.SPLIT_MEMBER, (READ,), 0.0)]))
    bars = list(drawn.iter("{http://www.w3.org/2000/svg}rect"))[1:3]
    whole, read = (int(bar.get("width") or 0) for bar in bars)
    assert read == round(0.97 * whole)


def test_there_is_text_enough_and_its_halves_are_apart():
    ours, theirs = paragraphs()
    assert min(sum(len(each.split()) for each in half) for half in (ours, theirs)) >= 50_000
    assert not set(ours) & set(theirs)
