"""Who may sit in a version whose developer lists operators."""

import boa
import pytest

from nesa.protocol.allow_lists import AllowList
from nesa.protocol.ids import ZERO_DIGEST, Address, VersionId
from tests.deployment import deployer, register_version


@pytest.fixture(scope="module")
def allow_list(registry):
    return deployer("registry/AllowList").deploy(registry)


@pytest.fixture
def version_id(registry, allow_list, developer):
    return register_version(registry, developer, admission=allow_list.address)


def accounts(count):
    return [Address(boa.env.generate_address(f"operator {i}")) for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_whoever_is_listed_is_admitted(registry, allow_list, developer, version_id, count):
    operators = accounts(count)
    listed = AllowList(version_id, operators)
    allow_list.set_root(version_id, listed.root, sender=developer)
    for operator in operators:
        assert not registry.admits(version_id, operator, operator)
        allow_list.show(version_id, listed.root, operator, listed.proof(operator), sender=operator)
        assert registry.admits(version_id, operator, operator)


def test_whoever_is_not_listed_is_not_admitted(allow_list, developer, version_id, outsider):
    operators = accounts(5)
    listed = AllowList(version_id, operators)
    allow_list.set_root(version_id, listed.root, sender=developer)
    for proof in (listed.proof(operators[0]), (), (ZERO_DIGEST,)):
        with boa.reverts("admission: not listed"):
            allow_list.show(version_id, listed.root, outsider, proof)


def test_an_inner_node_is_no_operator(allow_list, developer, version_id):
    operators = accounts(4)
    listed = AllowList(version_id, operators)
    allow_list.set_root(version_id, listed.root, sender=developer)
    # The last sibling is an inner node; as a leaf it would need a preimage of its own.
    shorter = listed.proof(operators[0])[1:]
    with boa.reverts("admission: not listed"):
        allow_list.show(version_id, listed.root, operators[0], shorter)


def test_another_list_admits_nobody_of_the_former(registry, allow_list, developer, version_id):
    operators = accounts(3)
    former = AllowList(version_id, operators)
    allow_list.set_root(version_id, former.root, sender=developer)
    for operator in operators:
        allow_list.show(version_id, former.root, operator, former.proof(operator))

    later = AllowList(version_id, operators[:1])
    allow_list.set_root(version_id, later.root, sender=developer)
    assert not any(registry.admits(version_id, one, one) for one in operators)
    allow_list.show(version_id, later.root, operators[0], later.proof(operators[0]))
    assert [registry.admits(version_id, one, one) for one in operators] == [True, False, False]
    with boa.reverts("admission: not listed"):
        allow_list.show(version_id, later.root, operators[1], former.proof(operators[1]))


def test_who_is_shown_beforehand_stays_when_the_list_changes(
    registry, allow_list, developer, version_id
):
    operators = accounts(3)
    former, later = (AllowList(version_id, operators[:count]) for count in (2, 3))
    allow_list.show(version_id, former.root, operators[0], former.proof(operators[0]))
    assert not registry.admits(version_id, operators[0], operators[0])
    allow_list.set_root(version_id, former.root, sender=developer)
    assert registry.admits(version_id, operators[0], operators[0])
    allow_list.show(version_id, later.root, operators[0], later.proof(operators[0]))
    allow_list.set_root(version_id, later.root, sender=developer)
    assert registry.admits(version_id, operators[0], operators[0])


def test_the_list_of_one_version_is_not_that_of_another(registry, allow_list, developer):
    first, second = (
        register_version(registry, developer, operators_root=root, admission=allow_list.address)
        for root in (b"\x07" * 32, b"\x08" * 32)
    )
    operator = accounts(1)[0]
    listed = AllowList(VersionId(first), [operator])
    allow_list.set_root(first, listed.root, sender=developer)
    allow_list.set_root(second, listed.root, sender=developer)
    with boa.reverts("admission: not listed"):
        allow_list.show(second, listed.root, operator, listed.proof(operator))


def test_an_empty_list_admits_nobody(registry, allow_list, developer, version_id, outsider):
    assert not registry.admits(version_id, outsider, outsider)
    operator = accounts(1)[0]
    listed = AllowList(version_id, [operator])
    allow_list.set_root(version_id, listed.root, sender=developer)
    allow_list.show(version_id, listed.root, operator, listed.proof(operator))
    allow_list.set_root(version_id, ZERO_DIGEST, sender=developer)
    assert not registry.admits(version_id, operator, operator)


def test_only_the_developer_lists(allow_list, version_id, outsider):
    with boa.reverts("admission: not the developer"):
        allow_list.set_root(version_id, b"\x01" * 32, sender=outsider)


def test_who_admits_is_told_at_registration(registry, allow_list, developer):
    registered = register_version(registry, developer, admission=allow_list.address)
    named = [log for log in registry.get_logs() if type(log).__name__ == "AdmissionNamed"]
    assert [(log.version_id, log.admission) for log in named] == [(registered, allow_list.address)]
    assert registry.admission_of(registered) == allow_list.address
