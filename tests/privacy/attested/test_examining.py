"""Evidence of a seat against what a chain says of its operator, with quotes of real processors.

The quotes speak for somebody else's keys. Only a policy that names their report data takes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nesa.privacy.attested.binding import Binding
from nesa.privacy.attested.evidence import SeatEvidence
from nesa.privacy.attested.examining import OperatorOnChain, examine
from nesa.privacy.attested.policy import Measurement, NamedReportData, Policy
from nesa.privacy.attested.quotes import Technology, read_quote
from nesa.protocol.errors import InvalidMessage
from nesa.protocol.ids import Address
from tests.privacy.attested.test_policy import BINDING
from tests.privacy.attested.test_quotes import TDX

QUOTE = read_quote(TDX.data)
PROGRAM = Measurement(technology=Technology.TDX, registers={"mr_td": QUOTE.registers["mr_td"]})
POLICY = Policy(measurements=(PROGRAM,), max_age=50)
EVIDENCE = SeatEvidence(BINDING, TDX.data, TDX.collateral)
KNOWN = OperatorOnChain(
    chain_id=BINDING.chain_id,
    vault=BINDING.vault,
    operator=BINDING.operator,
    signer=BINDING.signer,
    block_hash=BINDING.block_hash,
    head=BINDING.block_number + 10,
    time=TDX.at,
)


def named(binding: Binding) -> NamedReportData:
    return NamedReportData(
        operator=binding.operator,
        signer=binding.signer,
        encryption_key=binding.encryption_key,
        report_data=QUOTE.report_data,
    )


NAMING = POLICY.model_copy(update={"report_data": (named(BINDING),)})


def test_a_quote_of_somebody_elses_keys_is_refused_by_name() -> None:
    with pytest.raises(InvalidMessage, match="for another operator, signer, key, chain or block"):
        examine(EVIDENCE, KNOWN, POLICY)


def test_report_data_that_the_policy_names_stand_for_the_keys() -> None:
    assert examine(EVIDENCE, KNOWN, NAMING).status == "UpToDate"


@pytest.mark.parametrize(
    "changes",
    [
        {"operator": Address("0x" + "99" * 20)},
        {"signer": Address("0x" + "99" * 20)},
        {"encryption_key": b"\x77" * 32},
    ],
)
def test_named_report_data_stand_for_nobody_else(changes: dict[str, Any]) -> None:
    naming = POLICY.model_copy(update={"report_data": (named(replace(BINDING, **changes)),)})
    with pytest.raises(InvalidMessage, match="for another operator"):
        examine(EVIDENCE, KNOWN, naming)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"chain_id": 1}, "for the chain 31337, not for 1"),
        ({"vault": Address("0x" + "99" * 20)}, "for the stake vault"),
        ({"operator": Address("0x" + "99" * 20)}, "for the operator"),
        ({"signer": Address("0x" + "99" * 20)}, "for the signer"),
        ({"block_hash": None}, "names a block 100 that this chain does not have"),
        ({"block_hash": b"\x66" * 32}, "names a block 100 that this chain does not have"),
        ({"time": TDX.at + 60 * 24 * 3600}, "does not verify"),
    ],
)
def test_evidence_of_another_operator_or_time_is_refused_by_name(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        examine(EVIDENCE, replace(KNOWN, **changes), NAMING)


def test_another_program_is_refused_whatever_its_report_data() -> None:
    other = Measurement(technology=Technology.TDX, registers={"mr_td": bytes(48)})
    with pytest.raises(InvalidMessage, match="no measurement"):
        examine(EVIDENCE, KNOWN, NAMING.model_copy(update={"measurements": (other,)}))


def test_one_flipped_bit_of_the_quote_is_refused() -> None:
    broken = bytearray(TDX.data)
    broken[600] ^= 1
    with pytest.raises(InvalidMessage):
        examine(replace(EVIDENCE, quote=bytes(broken)), KNOWN, NAMING)
