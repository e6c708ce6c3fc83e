"""What docs/test-vectors.json promises, computed by the contracts' own modules."""

from __future__ import annotations

import json
from typing import Any

import pyrevm
import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from nesa.chain.contracts import ZERO_ADDRESS
from tests.deployment import ROOT
from tests.revm import RevmChain, RevmContract

VECTORS: dict[str, Any] = json.loads((ROOT / "docs" / "test-vectors.json").read_text())
TENSORS, DRAWS = VECTORS["tensors"], VECTORS["draws"]
AGREEMENT, SETTLEMENT, VERSION = (VECTORS[part] for part in ("agreement", "settlement", "versions"))


EPOCH_OF_TEN = bytes.fromhex("600a60005260206000f3")
"""Code of an account that answers 10 to whatever it is asked, as the vault to the epoch's."""


def word(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.fixture(scope="module")
def chain():
    return RevmChain(VECTORS["chain_id"])


def load(chain, name):
    return chain.deploy(f"tests/contracts/harness/{name}")


@pytest.fixture(scope="module")
def digests(chain):
    return load(chain, "TensorDigestHarness")


@pytest.fixture(scope="module")
def market(chain):
    """The harness, at the address of the market that the vectors speak of."""
    harness = load(chain, "ProtocolHarness")
    chain.evm.insert_account_info(VECTORS["market"], chain.evm.basic(harness.address))
    return RevmContract(chain, VECTORS["market"], harness.abi)


@pytest.mark.parametrize("vector", TENSORS, ids=lambda vector: vector["edge_type"][:8])
def test_tensors(chain, digests, vector):
    edge, data = word(vector["edge_type"]), word(vector["data"])
    edges = load(chain, "EdgeTypeHarness")
    assert edges.is_canonical(edge)
    assert edges.byte_length(edge) == len(data)
    assert digests.bytes_root(data) == word(vector["root"])
    assert digests.tensor_digest_of(edge, data) == word(vector["tensor_digest"])
    assert digests.edges_digest([word(vector["tensor_digest"])]) == word(vector["boundary_digest"])
    assert digests.boundary_digest(edge, data) == word(vector["boundary_digest"])


@pytest.mark.parametrize("vector", DRAWS, ids=lambda vector: f"{vector['slots']} slots")
def test_draws(chain, vector):
    harness = load(chain, "DrawHarness")
    asked = (VECTORS["market"], vector["query_id"], vector["attempt"], word(vector["block_hash"]))
    seed = harness.query_seed(*asked)
    assert seed == word(vector["seed"])
    order = harness.slot_order(seed, vector["shard"], vector["slots"], vector["slots"])
    assert list(order) == vector["order"]


def work() -> tuple[Any, ...]:
    """The vectors' work, in the order of the contract's struct."""
    numbers = [AGREEMENT[name] for name in ("query_id", "attempt")]
    places = [AGREEMENT[name] for name in ("shard", "round")]
    ends = [word(AGREEMENT[name]) for name in ("in_digest", "out_digest")]
    return (VECTORS["market"], *numbers, word(AGREEMENT["seed"]), *places, *ends)


def test_commitment_and_set(market):
    given = (work(), AGREEMENT["member"], word(AGREEMENT["salt"]))
    assert market.commitment(*given) == word(AGREEMENT["commitment"])
    commitments = [word(text) for text in AGREEMENT["commitments"]]
    assert market.set_digest(work(), commitments) == word(AGREEMENT["set_digest"])


def test_attestation(market):
    given = (word(AGREEMENT["payload_hash"]), word(AGREEMENT["set_digest"]))
    attested = market.attestation_hash(work(), *given)
    assert attested == word(AGREEMENT["attestation_hash"])
    signer = market.signer_of(attested, word(AGREEMENT["r"]), word(AGREEMENT["vs"]))
    assert to_checksum_address(signer) == AGREEMENT["member"]


def test_consent(market):
    """The vault's own check of it is in tests/contracts/staking/test_register_operator.py."""
    consent = VECTORS["consent"]
    signer = market.signer_of(word(consent["hash"]), word(consent["r"]), word(consent["vs"]))
    assert to_checksum_address(signer) == consent["signer"]


def test_voucher(market):
    """What the contract does with one is in tests/contracts/market/test_shared_sessions.py."""
    voucher = VECTORS["sessions"]
    signer = market.signer_of(word(voucher["hash"]), word(voucher["r"]), word(voucher["vs"]))
    assert to_checksum_address(signer) == voucher["payer"]


def test_products():
    chain = RevmChain(VECTORS["chain_id"])
    below = [to_checksum_address(keccak(text=f"below {number}")[-20:]) for number in range(5)]
    chain.evm.insert_account_info(
        below[3], pyrevm.AccountInfo(nonce=1, code=EPOCH_OF_TEN, code_hash=keccak(EPOCH_OF_TEN))
    )
    contract = chain.deploy("contracts/market/SharedSessions", *below, 120)
    listed = VECTORS["sessions"]
    named = contract.list_products([word(one) for one in listed["version_ids"]])
    assert named == word(listed["products_id"])


def terms() -> tuple[Any, ...]:
    """The vectors' terms, in the order of the contract's struct."""
    values = dict(SETTLEMENT["terms"])
    for name in ("version_id", "input_digest", "output_edge"):
        values[name] = word(values[name])
    return tuple((values | {"parameters": int(values["parameters"], 16)}).values())


def test_terms_and_fee(market):
    assert market.terms_hash(terms()) == word(SETTLEMENT["terms_hash"])
    shares = ("slot", "oracle", "delivery", "royalty", "reviewers", "treasury")
    assert market.split_fee(terms()) == tuple(SETTLEMENT[share] for share in shares)


def test_parameters(chain):
    harness = load(chain, "ParameterWordsHarness")
    packed = int(SETTLEMENT["parameters"], 16)
    assert harness.pack_query_parameters(harness.unpack_query_parameters(packed)) == packed


def shards() -> list[tuple[Any, ...]]:
    """The vectors' shards, in the order of the contract's struct."""
    return [
        (
            [word(edge) for edge in shard["inputs"]],
            [word(edge) for edge in shard["outputs"]],
            word(shard["file_digest"]),
            word(shard["circuit_digest"]),
            word(shard["verifier_code_hash"]),
        )
        for shard in VERSION["shards"]
    ]


def stand_ins(chain: RevmChain) -> list[str]:
    """Accounts that claim the code hashes of the vectors' verifiers."""
    made: list[str] = []
    for number, shard in enumerate(VERSION["shards"]):
        address = to_checksum_address(keccak(text=f"verifier {number}")[-20:])
        claimed = pyrevm.AccountInfo(
            nonce=1, code=b"\xfe", code_hash=word(shard["verifier_code_hash"])
        )
        chain.evm.insert_account_info(address, claimed)
        made.append(address)
    return made


def test_version():
    chain = RevmChain(VECTORS["chain_id"])
    registry = chain.deploy("contracts/registry/ModelRegistry", VECTORS["market"])
    roots = (word(VERSION["operators_root"]), word(VERSION["metadata_digest"]))
    given = ("", "", *roots, shards(), stand_ins(chain), 0, 0, 0, ZERO_ADDRESS)
    registered = registry.register(*given, sender=VERSION["developer"])
    assert registered == word(VERSION["version_id"])
    assert word(VERSION["root"]) in chain.logs[0].data
