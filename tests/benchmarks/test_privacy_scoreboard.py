"""The page and the picture say what was found, and text is what it should be."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from benchmarks.privacy.corpus import paragraphs
from benchmarks.privacy.page import Score, picture, text_page
from nesa.privacy.battery.findings import Attack, Finding, Measure
from nesa.privacy.battery.views import Observer

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
    assert "| SHARED, one group | chance: held |  | 0.1% (0.003%) |" in page


def test_the_page_says_where_a_claim_is_broken():
    page = text_page([Score("net", Observer.SHARED_MEMBER, (READ,), 0.0)])
    assert "chance: BROKEN" in page


def test_the_picture_is_drawn_to_scale():
    drawn = ElementTree.fromstring(picture([Score("net", Observer.SPLIT_MEMBER, (READ,), 0.0)]))
    bars = list(drawn.iter("{http://www.w3.org/2000/svg}rect"))[1:3]
    whole, read = (int(bar.get("width") or 0) for bar in bars)
    assert read == round(0.97 * whole)


def test_there_is_text_enough_and_its_halves_are_apart():
    ours, theirs = paragraphs()
    assert min(sum(len(each.split()) for each in half) for half in (ours, theirs)) >= 50_000
    assert not set(ours) & set(theirs)
