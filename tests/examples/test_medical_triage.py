"""The triage example: what it reads of a file, and what it keeps."""

from __future__ import annotations

import csv

import pytest

from examples.medical_triage import triage
from nesa.client.sharing import SharedPublicModel
from nesa.protocol.errors import InvalidInput


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


def test_evidence_is_kept_in_files(tmp_path):
    folder = tmp_path / "evidence"
    assert triage.keep({}, folder) == ()
    assert not folder.exists()
    (path,) = triage.keep({"statement.cbor": b"signed"}, folder)
    assert path.read_bytes() == b"signed"
