"""What a client leaves for a report is what an oracle asks for."""

from __future__ import annotations

import re
from pathlib import Path

from nesa.protocol.queries import Assurance
from nesa.protocol.report_gas import SETTLING_GAS, agreed_gas, proved_gas, wanted_deposit

MEASURED = Path(__file__).parents[2] / "benchmarks" / "results" / "gas.md"


def test_the_bound_is_above_every_measured_report() -> None:
    rows = re.findall(r"^\| (\d) \| (\d) \| (?:first|steady) \|[^|]*\| ([\d,]+) ", *_read())
    assert len(rows) == 12
    for shards, replicas, gas in rows:
        assert int(gas.replace(",", "")) <= agreed_gas(int(shards), int(replicas))


def test_a_callback_needs_more_gas_than_it_gets() -> None:
    assert agreed_gas(1, 4, 63_000) == agreed_gas(1, 4) + 65_000
    assert proved_gas(2, 63_000) == proved_gas(2) + 65_000


def test_a_deposit_pays_the_report_and_its_settling_at_twice_the_price() -> None:
    agreed = wanted_deposit(Assurance.AGREED, 2, 4, price=7)
    assert agreed == (agreed_gas(2, 4) + SETTLING_GAS) * 14
    proved = wanted_deposit(Assurance.PROVED, 2, 1, price=7)
    assert proved == (proved_gas(2) + SETTLING_GAS) * 14


def _read() -> tuple[str, re.RegexFlag]:
    return MEASURED.read_text(encoding="utf-8"), re.MULTILINE
