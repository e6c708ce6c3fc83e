"""What a miner shows of its enclave, and what it does not take for a quote of its own."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from aiohttp.test_utils import make_mocked_request

from nesa.privacy.attested.evidence import MAX_SEAT_EVIDENCE_BYTES, decode_seat_evidence
from nesa.protocol.errors import InvalidConfiguration, InvalidMessage
from nesa_miner.engine import Engine
from nesa_miner.seat_evidence import keep_evidence, kept_evidence, read_evidence
from nesa_miner.server import Routes
from tests.privacy.attested.test_evidence import EVIDENCE
from tests.privacy.attested.test_policy import BINDING
from tests.privacy.attested.test_quotes import VECTORS

QUOTE, COLLATERAL = VECTORS / "tdx_quote", VECTORS / "tdx_quote_collateral.json"


async def shown(path: Path | None) -> tuple[int, bytes]:
    routes = Routes(cast("Engine", None), seat_evidence=path)
    answer = await routes.seat_evidence(make_mocked_request("GET", "/v1/seat-evidence"))
    return answer.status, cast("bytes", answer.body)


async def test_a_miner_without_a_quote_says_so(tmp_path: Path) -> None:
    wanted = (404, b"this miner was given no quote of an enclave")
    assert await shown(tmp_path / "nothing") == wanted
    assert await shown(None) == wanted


async def test_a_miner_shows_the_newest_quote_that_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "evidence"
    keep_evidence(path, read_evidence(BINDING, QUOTE, COLLATERAL, other_format=True))
    status, body = await shown(path)
    assert (status, decode_seat_evidence(body)) == (200, EVIDENCE)
    keep_evidence(path, EVIDENCE)
    assert [one.name for one in tmp_path.iterdir()] == ["evidence"]


@pytest.mark.parametrize("data", [b"{}", b"\xff", b" " * (MAX_SEAT_EVIDENCE_BYTES + 1)])
async def test_a_file_that_is_no_evidence_is_not_shown(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "evidence"
    path.write_bytes(data)
    assert (await shown(path))[0] == 503
    with pytest.raises((InvalidMessage, InvalidConfiguration)):
        kept_evidence(path)


def test_a_quote_of_somebody_elses_keys_is_not_taken() -> None:
    with pytest.raises(InvalidMessage) as refused:
        read_evidence(BINDING, QUOTE, COLLATERAL, other_format=False)
    assert f"have to be 0x{BINDING.report_data.hex()}" in str(refused.value)


def test_what_is_no_quote_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(InvalidMessage, match="not a quote"):
        read_evidence(BINDING, COLLATERAL, COLLATERAL, other_format=True)
    with pytest.raises(InvalidConfiguration, match="cannot read"):
        read_evidence(BINDING, tmp_path / "nowhere", COLLATERAL, other_format=True)
