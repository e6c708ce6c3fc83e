"""The triage example: what it reads of a file, and what it keeps."""

from __future__ import annotations

import contextlib
import csv
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import pytest

from examples.medical_triage import triage
from nesa.client.sharing import SharedPublicModel
from nesa.protocol.errors import GroupSilent, InvalidInput


@pytest.fixture(scope="module")
def shared():
    return SharedPublicModel.read(triage.MODEL)


@pytest.fixture
def patient():
    with triage.PATIENTS.open(newline="") as file:
        return next(csv.DictReader(file))


def test_columns_may_stand_in_any_order(shared, patient):
    turned = dict(reversed(patient.items()))
    assert triage.features_of(shared, turned) == triage.features_of(shared, patient)


@pytest.mark.parametrize("change", [{"mean radius": "wide"}, {"mean radius": ""}])
def test_what_is_no_number_is_named(shared, patient, change):
    with pytest.raises(InvalidInput, match="case case-1"):
        triage.features_of(shared, patient | change)


def test_a_missing_measurement_is_named(shared, patient):
    del patient["mean radius"]
    with pytest.raises(InvalidInput, match="case case-1.*mean radius"):
        triage.features_of(shared, patient)


ANSWER: Final[Any] = "answer"


class Session:
    """One in which a member lied, and that ends as a test says."""

    def __init__(self, ends=None):
        self.ends = ends

    async def ask(self, features):
        if self.ends is not None:
            raise self.ends
        return ANSWER

    def evidence(self):
        return {"statement.cbor": b"signed"}

    def with_late(self, result):
        return result


def opening(ends: Exception | None = None) -> AbstractAsyncContextManager[Any]:
    return contextlib.nullcontext(Session(ends))


async def test_evidence_is_kept_in_files(shared, patient, tmp_path):
    finding = await triage.assess(opening(), shared, patient, tmp_path / "evidence")
    (path,) = finding.evidence
    assert path.read_bytes() == b"signed"


async def test_a_folder_that_cannot_be_written_costs_no_answer(shared, patient, tmp_path):
    file = tmp_path / "evidence"
    file.touch()
    with pytest.warns(UserWarning, match="could not be kept"):
        finding = await triage.assess(opening(), shared, patient, file)
    assert (finding.result, finding.evidence) == (ANSWER, ())
    silent = opening(GroupSilent("first", "nobody answered"))
    with pytest.raises(GroupSilent), pytest.warns(UserWarning, match="could not be kept"):
        await triage.assess(silent, shared, patient, file)
