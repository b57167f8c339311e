"""spec/vectors/watchers-certificates.json is what the generator makes, and what is read here."""

import json
from typing import Any

import pytest

from qbix_node.certificates.certificates import read_ac, read_fc
from qbix_node.certificates.committees import read_profile
from qbix_node.certificates.transactions import read_signed_tx
from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.wire.packing import pack, unpack
from tests.certificates.hall import Account
from tests.certificates.make_vectors import HALLS, NAME, SMALL, bases_after, make
from tests.streams.long_hex import read as data
from tests.streams.make_vectors import FOLDER

MADE = make()[NAME]
VECTORS = json.loads(MADE)
OWNERS = {each.stream: each.owners for each in (Account("alice"), Account("carol"))}


def holds(checks: tuple[SignatureCheck, ...]) -> bool:
    return all(verify(each.key, each.body, each.signature) for each in checks)


def named(vector: dict[str, Any]) -> str:
    return str(vector.get("what") or vector.get("rule"))


def test_the_committed_file_is_the_one_that_is_made() -> None:
    assert (FOLDER / NAME).read_text() == MADE, "python -m tests.certificates.make_vectors"
    assert len(MADE) < 300 * 1024


@pytest.mark.parametrize("vector", VECTORS["profiles"]["valid"], ids=named)
def test_profiles_are_read_and_written(vector: dict[str, Any]) -> None:
    encoded = data(vector["hex"])
    assert pack(read_profile(unpack(encoded, "profile")).packable()) == encoded


@pytest.mark.parametrize("vector", VECTORS["profiles"]["invalid"], ids=named)
def test_other_profiles_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_profile(unpack(data(vector["hex"]), "profile"))


@pytest.mark.parametrize("vector", VECTORS["transactions"]["valid"], ids=named)
def test_transactions_are_read_and_written(vector: dict[str, Any]) -> None:
    signed = read_signed_tx(data(vector["hex"]))
    assert signed.encoded == data(vector["hex"])
    assert signed.tx.hash.hex() == vector["h"]
    checks = signed.checks(OWNERS)
    assert checks is not None
    assert holds(checks)


@pytest.mark.parametrize("vector", VECTORS["transactions"]["invalid"], ids=named)
def test_other_transactions_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_signed_tx(data(vector["hex"]))


@pytest.mark.parametrize("vector", VECTORS["certificates"]["valid"], ids=named)
def test_certificates_are_read_and_hold(vector: dict[str, Any]) -> None:
    fc, hall = read_fc(data(vector["hex"])), HALLS[vector["epoch"]]
    assert fc.encoded == data(vector["hex"])
    checks = fc.checks({hall.number: hall.epoch})
    assert len(checks) == vector["votes"]
    assert holds(checks)
    assert [each.hex() for each in bases_after(fc)] == vector.get("digests_after", [])


@pytest.mark.parametrize("vector", VECTORS["certificates"]["invalid"], ids=named)
def test_other_certificates_do_not_hold(vector: dict[str, Any]) -> None:
    try:
        checks = read_fc(data(vector["hex"])).checks({0: SMALL.epoch})
    except Malformed:
        return
    assert not holds(checks)


@pytest.mark.parametrize("vector", VECTORS["acs"]["valid"], ids=named)
def test_acs_are_read_and_hold(vector: dict[str, Any]) -> None:
    ac = read_ac(unpack(data(vector["hex"]), "AC"))
    assert pack(ac.packable()) == data(vector["hex"])
    assert ac.digest.hex() == vector["digest"]
    assert holds(ac.checks({0: SMALL.epoch}))


@pytest.mark.parametrize("vector", VECTORS["acs"]["invalid"], ids=named)
def test_other_acs_do_not_hold(vector: dict[str, Any]) -> None:
    try:
        checks = read_ac(unpack(data(vector["hex"]), "AC")).checks({0: SMALL.epoch})
    except Malformed:
        return
    assert not holds(checks)
