"""spec/vectors/dht-*.json are what the generator makes, and this package says the same."""

import json
from typing import Any

import pytest

from qbix_node.crypto.keys import KeyPair, verify
from qbix_node.dht import messages as d
from qbix_node.dht.ids import NodeId, closest, node_id
from qbix_node.dht.records import read_record
from qbix_node.dht.wire import COOKIE, Sealing, read_header
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from qbix_node.wire.packing import unpack
from tests.dht.make_vectors import DATAGRAMS, RECORDS, make, plain
from tests.streams.make_vectors import FOLDER

MADE = make()
OF_DATAGRAMS, OF_RECORDS = json.loads(MADE[DATAGRAMS]), json.loads(MADE[RECORDS])
ALICE, BOB = (
    KeyPair.from_seed(bytes.fromhex(OF_DATAGRAMS[side]["seed"])) for side in ("sender", "recipient")
)


def opened(datagram: bytes) -> d.Message:
    """As Bob does who is asked, or was answered, by Alice. Raises Malformed."""
    header = read_header(datagram)
    sealing = Sealing(BOB)
    shared = sealing.agree(PeerId(ALICE.public))
    assert shared is not None
    body = sealing.unseal(datagram, shared)
    if body is None or header.recipient != node_id(PeerId(BOB.public)):
        raise Malformed("not for Bob")
    return d.read_message(header.type, body)


@pytest.mark.parametrize("name", [DATAGRAMS, RECORDS])
def test_the_committed_files_are_those_that_are_made(name: str) -> None:
    assert (FOLDER / name).read_text() == MADE[name], "python -m tests.dht.make_vectors"
    assert len(MADE[name]) < 100 * 1024


@pytest.mark.parametrize("vector", OF_DATAGRAMS["valid"], ids=lambda each: str(each["what"]))
def test_datagrams_are_opened_and_read(vector: dict[str, Any]) -> None:
    datagram = bytes.fromhex(vector["hex"])
    message = opened(datagram)
    assert plain(unpack(d.encode(message), "body")) == vector["body"]
    header = read_header(datagram)
    assert (header.type, str(header.number)) == (vector["type"], vector["number"])


@pytest.mark.parametrize("vector", OF_DATAGRAMS["invalid"], ids=lambda each: str(each["rule"]))
def test_other_datagrams_are_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        opened(bytes.fromhex(vector["hex"]))


def test_a_cookie_is_a_header() -> None:
    header = read_header(bytes.fromhex(OF_DATAGRAMS["cookie_answer"]))
    assert header.type == COOKIE
    assert header.cookie.hex() == OF_DATAGRAMS["cookie"]


def test_the_nearest_ids() -> None:
    vector = OF_DATAGRAMS["closest"]
    ids = [node_id(PeerId(bytes.fromhex(each))) for each in vector["keys"]]
    nearest = closest(ids, NodeId(bytes.fromhex(vector["target"])), len(vector["ids"]))
    assert [each.hex() for each in nearest] == vector["ids"]


@pytest.mark.parametrize("vector", OF_RECORDS["valid"], ids=lambda each: str(each["what"]))
def test_records_are_read_and_right(vector: dict[str, Any]) -> None:
    record = read_record(bytes.fromhex(vector["hex"]))
    assert verify(record.signer, record.signed, record.signature)
    assert record.key.hex() == vector["key"]
    assert [record.content.kind, record.signer.hex(), record.sequence, record.expires_s] == vector[
        "fields"
    ][1:5]


@pytest.mark.parametrize("vector", OF_RECORDS["invalid"], ids=lambda each: str(each["rule"]))
def test_other_records_are_refused(vector: dict[str, Any]) -> None:
    try:
        record = read_record(bytes.fromhex(vector["hex"]))
    except Malformed:
        return
    assert not verify(record.signer, record.signed, record.signature)


@pytest.mark.parametrize("vector", OF_RECORDS["newer"])
def test_of_two_records_one_is_newer(vector: dict[str, str]) -> None:
    older, newer = (read_record(bytes.fromhex(vector[name])) for name in ("older", "newer"))
    assert newer.newer_than(older)
    assert not older.newer_than(newer)
