"""Quotes of real processors, and what tampering with them leads to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nesa.privacy.attested.quotes import (
    MAX_COLLATERAL_BYTES,
    MAX_QUOTE_BYTES,
    Technology,
    read_quote,
    verify_quote,
)
from nesa.protocol.errors import InvalidMessage

VECTORS = Path(__file__).parent / "vectors"
DAY = 24 * 3600


@dataclass(frozen=True)
class Vector:
    """A quote with its collateral, and a second at which that was valid."""

    data: bytes
    collateral: str
    at: int


def vector(name: str) -> Vector:
    """The vector of that name."""
    collateral = (VECTORS / f"{name}_collateral.json").read_text()
    issued = json.loads(json.loads(collateral)["tcb_info"])["issueDate"]
    at = int(datetime.fromisoformat(issued).timestamp()) + DAY
    return Vector((VECTORS / name).read_bytes(), collateral, at)


SGX = vector("sgx_quote")
TDX = vector("tdx_quote")


def test_a_quote_of_a_trust_domain_verifies() -> None:
    found = verify_quote(TDX.data, TDX.collateral, TDX.at)
    assert found.quote.technology is Technology.TDX
    assert found.status == "UpToDate"
    assert found.advisories == ()
    assert found.quote.registers["mr_td"].hex().startswith("91eb2b44d141d4ec")
    assert not found.quote.is_debug


def test_a_quote_of_an_enclave_verifies_with_what_is_wrong_with_its_processor() -> None:
    found = verify_quote(SGX.data, SGX.collateral, SGX.at)
    assert found.quote.technology is Technology.SGX
    assert found.quote.report_data == b"Hello, world!".ljust(64, b"\0")
    assert found.status == "ConfigurationAndSWHardeningNeeded"
    assert found.advisories == ("INTEL-SA-00289", "INTEL-SA-00615")


def test_a_processor_that_intel_lists_no_more_is_refused() -> None:
    old = vector("tdx_quote_outdated")
    with pytest.raises(InvalidMessage, match="No matching TCB level"):
        verify_quote(old.data, old.collateral, old.at)


def signed_part(one: Vector) -> int:
    """How many bytes of a quote are header and report, which its first signature covers."""
    return 48 + (584 if one is TDX else 384)


@given(one=st.sampled_from([SGX, TDX]), data=st.data())
def test_one_flipped_bit_of_what_is_signed_is_refused(one: Vector, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, signed_part(one) - 1))
    broken = bytearray(one.data)
    broken[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(InvalidMessage):
        verify_quote(bytes(broken), one.collateral, one.at)


@given(one=st.sampled_from([SGX, TDX]), data=st.data())
def test_one_flipped_bit_behind_what_is_signed_vouches_for_nothing_else(
    one: Vector, data: st.DataObject
) -> None:
    """Of signatures and certificates too. The root certificate that a quote carries is not the one
    that is trusted, and breaks between lines and spare bytes of lengths say nothing: there a bit
    may be flipped to no effect."""
    place = data.draw(st.integers(signed_part(one), end_of(one) - 1))
    broken = bytearray(one.data)
    broken[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = verify_quote(bytes(broken), one.collateral, one.at)
    except InvalidMessage:
        return
    assert found == verify_quote(one.data, one.collateral, one.at)


@pytest.mark.parametrize("days", [-2, 60])
def test_collateral_of_another_time_is_refused(days: int) -> None:
    with pytest.raises(InvalidMessage, match="does not verify"):
        verify_quote(TDX.data, TDX.collateral, TDX.at + days * DAY)


def test_collateral_of_another_processor_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="does not verify"):
        verify_quote(TDX.data, SGX.collateral, SGX.at)


def test_collateral_that_was_made_kinder_is_refused() -> None:
    kinder = SGX.collateral.replace("ConfigurationAndSWHardeningNeeded", "UpToDate")
    assert kinder != SGX.collateral
    with pytest.raises(InvalidMessage, match="does not verify"):
        verify_quote(SGX.data, kinder, SGX.at)


@pytest.mark.parametrize("data", [b"", b"no quote", bytes(5000)])
def test_what_is_no_quote_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage, match="not a quote"):
        read_quote(data)


def end_of(one: Vector) -> int:
    """Where a quote ends; what follows in the file is padding."""
    signed = signed_part(one)
    return signed + 4 + int.from_bytes(one.data[signed : signed + 4], "little")


@given(length=st.integers(0, end_of(TDX) - 1))
def test_a_quote_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(InvalidMessage):
        verify_quote(TDX.data[:length], TDX.collateral, TDX.at)


@pytest.mark.parametrize("collateral", ["", "{}", "[]", "null", "\ud800"])
def test_what_is_no_collateral_is_refused(collateral: str) -> None:
    with pytest.raises(InvalidMessage):
        verify_quote(TDX.data, collateral, TDX.at)


def test_what_is_too_long_is_refused_unread() -> None:
    with pytest.raises(InvalidMessage, match="a quote has"):
        read_quote(bytes(MAX_QUOTE_BYTES + 1))
    with pytest.raises(InvalidMessage, match="the collateral of a quote has"):
        verify_quote(TDX.data, " " * (MAX_COLLATERAL_BYTES + 1), TDX.at)
