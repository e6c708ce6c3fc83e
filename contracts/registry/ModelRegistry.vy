# pragma version ~=0.4.3
# pragma optimize gas
# pragma evm-version prague
"""
@title Model Registry
@license AGPL-3.0-only
@notice Keeps the versions of models: what identifies them, which never changes, and what their
        developer asks for them, which changes for later queries only.
@dev What a version *computes* is stated by its operator table alone. The registry refuses
     verifiers that always say yes; that a circuit computes the table is checked by whoever takes
     a seat, and answered for in disputes.
@custom:invariant 1. A version id names one developer, one root and one set of verifiers for good:
    tests/contracts/registry/test_register.py::test_a_second_time_reverts
    2. A version is provable only after every verifier accepted a proof and refused two false ones:
    tests/contracts/registry/test_prove_corner.py::test_the_last_shard_makes_the_version_provable
    3. Circuits hash what they are about exactly where the version's circuit digests say so:
    tests/contracts/registry/test_declare_hashed.py::test_public_circuits_cannot_be_declared
@custom:kill `retire`, by the developer, for later requests and seats. Open queries go on.
"""
from ..interfaces import IModelRegistry

implements: IModelRegistry

from ..interfaces import IProofRouter
from ..interfaces import ISeatAdmission
from ..lib import edge_type
from ..lib import version_identity

# What a request reads. `head` is price (64 bits, lowest) | proof_price (64) | shards (8) |
# royalty_bps (16) | retired (8) | provable (8) | shards shown by `prove_corner` (8, one bit each) |
# circuits hash (1) | the answer too (1).
struct Terms:
    head: uint256
    input_edge: bytes32
    output_edge: bytes32

MAX_SHARDS: constant(uint256) = 8
MAX_ROYALTY_BPS: constant(uint256) = 2_000
MAX_PRICE: constant(uint256) = 10**16  # NES units; with all shards and replicas below the supply
MAX_INSTANCES: constant(uint256) = 128  # values that one proof is about

MASK_8: constant(uint256) = 2**8 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_64: constant(uint256) = 2**64 - 1
PRICES_MASK: constant(uint256) = 2**128 - 1
PROOF_PRICE_OFFSET: constant(uint256) = 64
SHARDS_OFFSET: constant(uint256) = 128
ROYALTY_OFFSET: constant(uint256) = 136
RETIRED: constant(uint256) = 1 << 152
PROVABLE: constant(uint256) = 1 << 160
SHOWN_OFFSET: constant(uint256) = 168
HASHED: constant(uint256) = 1 << 176
HASHED_ANSWER: constant(uint256) = 1 << 177

# What is behind a circuit digest when the circuit hashes; else it is the hash of a verifying key.
HASHED_CIRCUIT_DOMAIN: constant(bytes32) = keccak256("nesa.hashed-circuit.v1")
HASHED_INPUT: constant(uint256) = 1
HASHED_OUTPUT: constant(uint256) = 2

ROUTER: immutable(IProofRouter)

# Who registered a version; zero for an unknown one.
developer_of: public(HashMap[bytes32, address])

# Who says which operators may sit in a version; zero where everybody may.
admission_of: public(HashMap[bytes32, address])

_terms: HashMap[bytes32, Terms]
_shards: HashMap[bytes32, DynArray[IModelRegistry.Shard, 8]]
_verifiers: HashMap[bytes32, HashMap[uint256, address]]


@deploy
def __init__(proof_router: address):
    """
    @notice Binds the registry to the router for good.
    @param proof_router Asks verifiers.
    """
    ROUTER = IProofRouter(proof_router)


# === Developers ===


@external
def register(
    name: String[64],
    location: String[256],
    operators_root: bytes32,
    metadata_digest: bytes32,
    shards: DynArray[IModelRegistry.Shard, 8],
    verifiers: DynArray[address, 8],
    price: uint256,
    proof_price: uint256,
    royalty_bps: uint256,
    admission: address,
) -> bytes32:
    """
    @notice Registers a version under the caller, who becomes its developer for good.
    @param name What people call the model; in the event only.
    @param location Where its files are found by their digests; in the event only.
    @param operators_root Merkle root over the rows of the operator table.
    @param metadata_digest Hash of the model card.
    @param shards One to eight shards; the outputs of each are the inputs of the next.
    @param verifiers One deployed verifier a shard, or none at all.
    @param price NES units for one shard and one replica.
    @param proof_price NES units for one shard's proof.
    @param royalty_bps The developer's share of the base fee, at most 2,000.
    @param admission Says who may sit in the version, for good, see `ISeatAdmission`; zero where
           everybody may.
    @return The version id.
    """
    assert royalty_bps <= MAX_ROYALTY_BPS, "registry: royalty too large"
    self._check_edges(shards)
    self._check_circuits(shards, verifiers)
    shards_digest: bytes32 = keccak256(abi_encode(shards))
    root: bytes32 = version_identity.version_root(operators_root, shards_digest, metadata_digest)
    version_id: bytes32 = version_identity.version_id(msg.sender, root)
    assert self.developer_of[version_id] == empty(address), "registry: already registered"

    count: uint256 = len(shards)
    head: uint256 = (count << SHARDS_OFFSET) | (royalty_bps << ROYALTY_OFFSET)
    self.developer_of[version_id] = msg.sender
    self.admission_of[version_id] = admission
    self._terms[version_id] = Terms(
        head=head | self._prices(price, proof_price),
        input_edge=shards[0].input_edges[0],
        output_edge=shards[count - 1].output_edges[0],
    )
    self._shards[version_id] = shards
    for i: uint256 in range(len(verifiers), bound=MAX_SHARDS):
        self._verifiers[version_id][i] = verifiers[i]

    log IModelRegistry.VersionRegistered(
        version_id=version_id,
        developer=msg.sender,
        root=root,
        name=name,
        location=location,
        operators_root=operators_root,
        metadata_digest=metadata_digest,
    )
    log IModelRegistry.PriceChanged(version_id=version_id, price=price, proof_price=proof_price)
    if admission != empty(address):
        log IModelRegistry.AdmissionNamed(version_id=version_id, admission=admission)
    return version_id


@external
def set_price(version_id: bytes32, price: uint256, proof_price: uint256):
    """
    @notice Changes what later requests pay; open ones keep their terms.
    @dev Only the developer.
    @param version_id The version.
    @param price NES units for one shard and one replica.
    @param proof_price NES units for one shard's proof.
    """
    self._check_developer(version_id)

    head: uint256 = self._terms[version_id].head & ~PRICES_MASK
    self._terms[version_id].head = head | self._prices(price, proof_price)

    log IModelRegistry.PriceChanged(version_id=version_id, price=price, proof_price=proof_price)


@external
def retire(version_id: bytes32):
    """
    @notice Takes the version off offer for good; open queries go on.
    @dev Only the developer.
    @param version_id The version.
    """
    self._check_developer(version_id)
    head: uint256 = self._offered(version_id)

    self._terms[version_id].head = head | RETIRED

    log IModelRegistry.VersionRetired(version_id=version_id)


# === Anybody ===


@external
def declare_hashed(version_id: bytes32, hashed_answer: bool, key_digests: DynArray[bytes32, 8]):
    """
    @notice Shows that a version's circuits hash what they are about, as its circuit digests say.
    @dev Anyone may call, before the first `prove_corner`. The digest of a circuit that hashes
         nothing is the hash of a verifying key, of which nobody knows such a preimage.
    @param version_id The version.
    @param hashed_answer Whether the last circuit hashes its output too.
    @param key_digests Hash of each shard's verifying key.
    """
    head: uint256 = self._offered(version_id)
    assert head & HASHED == 0, "registry: already declared"
    assert head >> SHOWN_OFFSET == 0, "registry: declared too late"
    count: uint256 = (head >> SHARDS_OFFSET) & MASK_8
    assert len(key_digests) == count, "registry: not one key each"
    for i: uint256 in range(count, bound=MAX_SHARDS):
        ends: uint256 = HASHED_INPUT
        if i + 1 < count or hashed_answer:
            ends |= HASHED_OUTPUT
        digest: bytes32 = keccak256(abi_encode(HASHED_CIRCUIT_DOMAIN, ends, key_digests[i]))
        assert digest == self._shards[version_id][i].circuit_digest, "registry: other circuits"

    head |= HASHED
    if hashed_answer:
        head |= HASHED_ANSWER
    self._terms[version_id].head = head

    log IModelRegistry.CircuitsHashed(version_id=version_id, hashed_answer=hashed_answer)


@external
def prove_corner(
    version_id: bytes32, shard: uint256, input: Bytes[512], output: Bytes[512], proof: Bytes[4608]
):
    """
    @notice Shows that a shard's verifier accepts a true proof and refuses two false ones.
    @dev Anyone may call. Once every shard is shown, the version is offered as provable.
    @param version_id The version.
    @param shard The shard's index.
    @param input Canonical bytes of the shard's input, or its digest where circuits hash it.
    @param output The same of the shard's output.
    @param proof A proof of that input and output.
    """
    head: uint256 = self._offered(version_id)
    verifier: address = empty(address)
    input_edge: bytes32 = empty(bytes32)
    output_edge: bytes32 = empty(bytes32)
    verifier, input_edge, output_edge = self._proof_terms(version_id, shard)
    mark: uint256 = 1 << (SHOWN_OFFSET + shard)
    assert head & mark == 0, "registry: already shown"
    assert staticcall ROUTER.try_verify(
        verifier, input_edge, output_edge, input, output, proof
    ), "registry: proof refused"
    assert not staticcall ROUTER.try_verify(
        verifier, input_edge, output_edge, input, self._other(output_edge, output), proof
    ), "registry: accepts other output"
    assert not staticcall ROUTER.try_verify(
        verifier, input_edge, output_edge, input, output, self._broken(proof)
    ), "registry: accepts broken proof"

    head |= mark
    count: uint256 = (head >> SHARDS_OFFSET) & MASK_8
    if (head >> SHOWN_OFFSET) & MASK_8 == (1 << count) - 1:
        head |= PROVABLE
    self._terms[version_id].head = head

    log IModelRegistry.ShardProved(version_id=version_id, shard=shard, verifier=verifier)


# === Views ===


@external
@view
def offer(version_id: bytes32) -> IModelRegistry.Offer:
    """
    @notice What a request needs of a version; reverts for unknown and retired ones.
    @param version_id The version.
    @return The offer of the moment.
    """
    head: uint256 = self._offered(version_id)
    return IModelRegistry.Offer(
        shards=(head >> SHARDS_OFFSET) & MASK_8,
        price=head & MASK_64,
        proof_price=(head >> PROOF_PRICE_OFFSET) & MASK_64,
        royalty_bps=(head >> ROYALTY_OFFSET) & MASK_16,
        provable=head & PROVABLE != 0,
        hashed=head & HASHED != 0,
        input_edge=self._terms[version_id].input_edge,
        output_edge=self._terms[version_id].output_edge,
    )


@external
@view
def facts(version_id: bytes32, shard: uint256) -> (bytes32, bytes32):
    """
    @notice What an operator states that it rebuilt when it takes a seat; reverts for unknown
            and retired versions and for shards that a version does not have.
    @param version_id The version.
    @param shard The shard's index.
    @return The circuit digest and the verifier's code hash, both zero without a circuit.
    """
    self._check_shard(self._offered(version_id), shard)
    return (
        self._shards[version_id][shard].circuit_digest,
        self._shards[version_id][shard].verifier_code_hash,
    )


@external
@view
def shard(version_id: bytes32, index: uint256) -> IModelRegistry.Shard:
    """
    @notice One shard as registered, retired or not.
    @param version_id The version.
    @param index The shard's index.
    @return The shard.
    """
    self._check_shard(self._terms[version_id].head, index)
    return self._shards[version_id][index]


@external
@view
def proof_terms(version_id: bytes32, index: uint256) -> (address, bytes32, bytes32):
    """
    @notice What the proof router is asked about a shard, retired or not; reverts where the
            shard cannot be proved.
    @param version_id The version.
    @param index The shard's index.
    @return The verifier, the packed input edge and the packed output edge, in the form of a
            hashed one where circuits hash it.
    """
    return self._proof_terms(version_id, index)


@external
@view
def verifier(version_id: bytes32, index: uint256) -> address:
    """
    @notice The verifier of a shard, zero without a circuit.
    @param version_id The version.
    @param index The shard's index.
    @return Address of the verifier.
    """
    return self._verifiers[version_id][index]


@external
@view
def shard_count(version_id: bytes32) -> uint256:
    """
    @notice Shards of a version, retired or not; zero for an unknown one.
    @param version_id The version.
    @return How many.
    """
    return (self._terms[version_id].head >> SHARDS_OFFSET) & MASK_8


@external
@view
def admits(version_id: bytes32, operator: address, signer: address) -> bool:
    """
    @notice Whether an operator may sit in a version.
    @dev Asks the contract that the developer named, so it may do anything but change state.
    @param version_id The version.
    @param operator The operator.
    @param signer The signer of its seat.
    @return Whether it may.
    """
    admission: address = self.admission_of[version_id]
    if admission == empty(address):
        return True
    return staticcall ISeatAdmission(admission).admits(version_id, operator, signer)


# === Internals: checks ===


@internal
@view
def _offered(version_id: bytes32) -> uint256:
    head: uint256 = self._terms[version_id].head
    # Every version has a shard, so its head is not zero.
    assert head != 0, "registry: unknown version"
    assert head & RETIRED == 0, "registry: version is retired"
    return head


@internal
@view
def _check_developer(version_id: bytes32):
    assert self.developer_of[version_id] == msg.sender, "registry: not the developer"


@internal
@pure
def _check_shard(head: uint256, shard: uint256):
    assert shard < (head >> SHARDS_OFFSET) & MASK_8, "registry: no such shard"


@internal
@pure
def _prices(price: uint256, proof_price: uint256) -> uint256:
    assert price <= MAX_PRICE, "registry: price too large"
    assert proof_price <= MAX_PRICE, "registry: proof price too large"
    return price | (proof_price << PROOF_PRICE_OFFSET)


@internal
@pure
def _check_edges(shards: DynArray[IModelRegistry.Shard, 8]):
    count: uint256 = len(shards)
    assert count != 0, "registry: no shards"
    assert len(shards[0].input_edges) == 1, "registry: not one input"
    assert len(shards[count - 1].output_edges) == 1, "registry: not one output"
    assert edge_type.is_canonical(shards[0].input_edges[0]), "registry: input edge"
    for i: uint256 in range(count, bound=MAX_SHARDS):
        assert len(shards[i].output_edges) != 0, "registry: no output edge"
        for edge: bytes32 in shards[i].output_edges:
            assert edge_type.is_canonical(edge), "registry: output edge"
        if i + 1 < count:
            leaving: bytes32 = keccak256(abi_encode(shards[i].output_edges))
            entering: bytes32 = keccak256(abi_encode(shards[i + 1].input_edges))
            assert leaving == entering, "registry: edges do not meet"


@internal
@view
def _check_circuits(
    shards: DynArray[IModelRegistry.Shard, 8], verifiers: DynArray[address, 8]
):
    provable: bool = len(verifiers) != 0
    if provable:
        assert len(verifiers) == len(shards), "registry: not one verifier each"
    for i: uint256 in range(len(shards), bound=MAX_SHARDS):
        has_circuit: bool = shards[i].circuit_digest != empty(bytes32)
        has_verifier: bool = shards[i].verifier_code_hash != empty(bytes32)
        assert has_circuit == provable, "registry: circuits all or none"
        assert has_verifier == provable, "registry: verifiers all or none"
        if not provable:
            continue
        assert len(shards[i].input_edges) == 1, "registry: circuit inputs"
        assert len(shards[i].output_edges) == 1, "registry: circuit outputs"
        inputs: uint256 = edge_type.elements(shards[i].input_edges[0])
        outputs: uint256 = edge_type.elements(shards[i].output_edges[0])
        assert inputs + outputs <= MAX_INSTANCES, "registry: circuit too wide"
        assert verifiers[i].codehash == shards[i].verifier_code_hash, "registry: other verifier"


@internal
@view
def _proof_terms(version_id: bytes32, shard: uint256) -> (address, bytes32, bytes32):
    verifier: address = self._verifiers[version_id][shard]
    assert verifier != empty(address), "registry: no circuit"
    input_edge: bytes32 = self._shards[version_id][shard].input_edges[0]
    output_edge: bytes32 = self._shards[version_id][shard].output_edges[0]
    head: uint256 = self._terms[version_id].head
    if head & HASHED != 0:
        input_edge = edge_type.hashed(input_edge)
        is_answer: bool = shard + 1 == (head >> SHARDS_OFFSET) & MASK_8
        if not is_answer or head & HASHED_ANSWER != 0:
            output_edge = edge_type.hashed(output_edge)
    return verifier, input_edge, output_edge


# === Internals: false statements that a verifier must refuse ===


@internal
@pure
def _other(edge: bytes32, output: Bytes[512]) -> Bytes[512]:
    # The first element becomes the lowest value of the range, or the highest where it is that. Of a
    # digest the last bit is turned over, which leaves it below the field's order.
    if edge_type.is_hashed(edge):
        assert len(output) == 32, "registry: no digest"
        digest: uint256 = convert(slice(output, 0, 32), uint256)
        return slice(convert(digest ^ 1, bytes32), 0, 32)
    word: uint256 = convert(edge, uint256)
    itemsize: uint256 = edge_type.unpack(edge).itemsize
    replaced: Bytes[512] = self._with_first(output, self._little_endian(word >> 192), itemsize)
    if keccak256(replaced) == keccak256(output):
        replaced = self._with_first(output, self._little_endian(word >> 160), itemsize)
    return replaced


@internal
@pure
def _with_first(output: Bytes[512], first: bytes32, itemsize: uint256) -> Bytes[512]:
    assert len(output) >= itemsize, "registry: output too short"
    rest: Bytes[512] = slice(output, itemsize, len(output) - itemsize)
    whole: Bytes[544] = concat(slice(first, 0, itemsize), rest)
    return abi_decode(abi_encode(whole), Bytes[512])  # narrows the type


@internal
@pure
def _little_endian(bits: uint256) -> bytes32:
    # The lowest four bytes turned around, at the left.
    turned: uint256 = ((bits & 255) << 24) | ((bits & 65280) << 8)
    turned |= ((bits >> 8) & 65280) | ((bits >> 24) & 255)
    return convert(turned << 224, bytes32)


@internal
@pure
def _broken(proof: Bytes[4608]) -> Bytes[4608]:
    # The last bit turned over.
    assert len(proof) != 0, "registry: no proof"
    body: uint256 = len(proof) - 1
    last: uint256 = convert(slice(proof, body, 1), uint256) ^ 1
    tail: Bytes[32] = slice(convert(last << 248, bytes32), 0, 1)
    whole: Bytes[4640] = concat(slice(proof, 0, body), tail)
    return abi_decode(abi_encode(whole), Bytes[4608])  # narrows the type
