"""Which verified quotes are good enough for a seat."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nesa.privacy.attested.binding import REPORT_DATA_BYTES, Binding
from nesa.privacy.attested.policy import Measurement, Policy, check_policy, read_policy
from nesa.privacy.attested.quotes import Quote, Technology, VerifiedQuote, verify_quote
from nesa.protocol.errors import InvalidConfiguration, InvalidMessage
from nesa.protocol.ids import Address
from tests.privacy.attested.test_quotes import SGX, TDX

BINDING = Binding(
    chain_id=31337,
    vault=Address("0x" + "11" * 20),
    operator=Address("0x" + "22" * 20),
    signer=Address("0x" + "33" * 20),
    encryption_key=b"\x44" * 32,
    block_number=100,
    block_hash=b"\x55" * 32,
)
PROGRAM = {name: bytes([place]) * 48 for place, name in enumerate(Technology.TDX.registers)}
QUOTE = Quote(Technology.TDX, PROGRAM, BINDING.report_data, is_debug=False)
FOUND = VerifiedQuote(QUOTE, "UpToDate", ())
POLICY = Policy(
    measurements=(Measurement(technology=Technology.TDX, registers={"mr_td": PROGRAM["mr_td"]}),),
    max_age=50,
)


def test_a_fresh_quote_of_a_listed_program_passes() -> None:
    check_policy(FOUND, BINDING, POLICY, block=100)
    check_policy(FOUND, BINDING, POLICY, block=150)


@pytest.mark.parametrize("block", [99, 151])
def test_a_quote_of_another_time_is_refused(block: int) -> None:
    with pytest.raises(InvalidMessage, match="blocks old"):
        check_policy(FOUND, BINDING, POLICY, block)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_debug": True}, "debug"),
        ({"registers": PROGRAM | {"mr_td": b"\xff" * 48}}, "no measurement"),
        ({"technology": Technology.SGX}, "no measurement"),
        ({"report_data": b"\x00" * 64}, "another operator"),
    ],
)
def test_another_program_is_refused(changes: dict[str, Any], reason: str) -> None:
    found = replace(FOUND, quote=replace(QUOTE, **changes))
    with pytest.raises(InvalidMessage, match=reason):
        check_policy(found, BINDING, POLICY, block=100)


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 1},
        {"vault": Address("0x" + "99" * 20)},
        {"operator": Address("0x" + "99" * 20)},
        {"signer": Address("0x" + "99" * 20)},
        {"encryption_key": b"\x99" * 32},
        {"block_number": 101},
        {"block_hash": b"\x99" * 32},
    ],
)
def test_a_quote_speaks_for_one_operator_with_its_keys(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidMessage, match="another operator"):
        check_policy(FOUND, replace(BINDING, **changes), POLICY, block=101)


def test_runtime_registers_count_where_they_are_named() -> None:
    named = {"mr_td": PROGRAM["mr_td"], "rt_mr1": b"\xff" * 48}
    strict = Policy(
        measurements=(Measurement(technology=Technology.TDX, registers=named),), max_age=50
    )
    with pytest.raises(InvalidMessage, match="no measurement"):
        check_policy(FOUND, BINDING, strict, block=100)


def test_firmware_that_is_not_up_to_date_passes_only_by_name() -> None:
    found = replace(FOUND, status="SWHardeningNeeded", advisories=("INTEL-SA-00615",))
    with pytest.raises(InvalidMessage, match="SWHardeningNeeded"):
        check_policy(found, BINDING, POLICY, block=100)
    lenient = POLICY.model_copy(update={"statuses": ("UpToDate", "SWHardeningNeeded")})
    with pytest.raises(InvalidMessage, match="INTEL-SA-00615"):
        check_policy(found, BINDING, lenient, block=100)
    named = lenient.model_copy(update={"advisories": ("INTEL-SA-00615",)})
    check_policy(found, BINDING, named, block=100)


@pytest.mark.parametrize("one", [SGX, TDX])
def test_a_real_quote_of_a_stranger_is_for_another_operator(one: Any) -> None:
    found = verify_quote(one.data, one.collateral, one.at)
    program = found.quote.technology.registers[0]
    policy = Policy(
        measurements=(
            Measurement(
                technology=found.quote.technology,
                registers={program: found.quote.registers[program]},
            ),
        ),
        statuses=(found.status,),
        advisories=found.advisories,
        max_age=50,
    )
    with pytest.raises(InvalidMessage, match="another operator"):
        check_policy(found, BINDING, policy, block=100)


def test_report_data_are_a_digest_and_zeros() -> None:
    assert len(BINDING.report_data) == REPORT_DATA_BYTES
    assert BINDING.report_data[32:] == bytes(32)


def test_a_policy_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text(
        POLICY.model_dump_json(exclude={"measurements"})[:-1]
        + ', "measurements": '
        + json.dumps([{"technology": "tdx", "registers": {"mr_td": "00" * 48}}])
        + "}"
    )
    assert read_policy(path) == POLICY


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot read"),
        ("[]", "policy"),
        ('{"measurements": [], "max_age": 5}', "measurements"),
        ('{"measurements": [{"technology": "tdx", "registers": {}}], "max_age": 5}', "mr_td"),
        ('{"measurements": [{"technology": "sev", "registers": {}}], "max_age": 5}', "technology"),
    ],
)
def test_a_policy_that_is_wrong_says_where(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration, match=reason):
        read_policy(path)
    with pytest.raises(InvalidConfiguration, match="cannot read"):
        read_policy(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("registers", "reason"),
    [
        ({"mr_td": b"\0" * 32}, "48 bytes"),
        ({"mr_td": b"\0" * 48, "mr_enclave": b"\0" * 48}, "no register mr_enclave"),
        ({"rt_mr0": b"\0" * 48}, "mr_td is missing"),
    ],
)
def test_a_measurement_names_registers_that_there_are(
    registers: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        Measurement(technology=Technology.TDX, registers=registers)
