"""What callers and upper layers can do wrong, and how long answers get (spec/dht.md 3, 5)."""

from collections.abc import Callable

import pytest

from qbix_node.dht import messages as d
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.records import (
    DomainContent,
    NodeContent,
    ProviderContent,
    make_record,
    provider_key,
)
from qbix_node.dht.wire import DATAGRAM_BYTES_MAX
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from tests.dht.network import UNIX_S, keys_of
from tests.dht.victim import Stranger, Victim

SHORT = NodeId(bytes(31))
KEY, ID = PeerId(bytes(32)), NodeId(bytes(32))
THERE = d.Told(KEY, bytes((8, 8, 8, 8)), 65535)
V6 = Endpoint(bytes.fromhex("20010db8") + bytes(11) + b"\x01", 65535)
RPC = 0x20

WRONG: dict[str, Callable[[], object]] = {
    "find: a target of 31 bytes": lambda: r.Find(1, SHORT),
    "get: a key of 31 bytes": lambda: r.Get(1, SHORT),
    "get: a signer of 31 bytes": lambda: r.Get(1, ID, PeerId(bytes(31))),
    "withdraw: a key of 31 bytes": lambda: r.Withdraw(SHORT, "node"),
    "bootstrap: a key of 31 bytes": lambda: r.Bootstrap((THERE, THERE._replace(key=PeerId(SHORT)))),
    "bootstrap: an address of 5 bytes": lambda: r.Bootstrap((THERE._replace(ip=bytes(5)),)),
    "bootstrap: port 0": lambda: r.Bootstrap((THERE._replace(port=0),)),
    "ask: port 65536": lambda: r.Ask(1, THERE._replace(port=65536), RPC, b""),
    "ask: a type that is not of upper layers": lambda: r.Ask(1, THERE, d.PUT_RECORD, b""),
    "ask: too long": lambda: r.Ask(1, THERE, RPC, bytes(d.TALK_BYTES_MAX + 1)),
    "publish: nine addresses": lambda: r.Publish(NodeContent((V6,) * 9, ())),
    "publish: an id of 31 bytes": lambda: r.Publish(ProviderContent("stream", SHORT, ())),
    "publish: no name": lambda: r.Publish(DomainContent("Example", ())),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_what_nobody_could_answer_is_not_asked(make: Callable[[], object]) -> None:
    with pytest.raises(Malformed):
        make()


def test_the_longest_request_and_answer_of_upper_layers_fit() -> None:
    victim = Victim()
    victim.dht.register(RPC, lambda peer, endpoint, data: data)
    stranger = Stranger(victim, 2)
    stranger.greet()
    longest = d.Talk(RPC, bytes(d.TALK_BYTES_MAX))
    assert len(stranger.request(longest)) == DATAGRAM_BYTES_MAX
    answer = stranger.ask(longest)
    assert isinstance(answer, d.Talk)
    assert answer.data == longest.data
    assert len(victim.said[0].data) == DATAGRAM_BYTES_MAX


def too_long(peer: PeerId, endpoint: Endpoint, data: bytes) -> bytes:
    return bytes(d.TALK_BYTES_MAX + 1)


def raising(peer: PeerId, endpoint: Endpoint, data: bytes) -> bytes:
    raise Malformed("data: not what this layer reads")


@pytest.mark.parametrize("handler", [too_long, raising, lambda *_: None])
def test_an_upper_layer_that_has_no_answer_refuses(
    handler: Callable[[PeerId, Endpoint, bytes], bytes | None],
) -> None:
    victim = Victim()
    victim.dht.register(RPC, handler)
    stranger = Stranger(victim, 2)
    stranger.greet()
    assert stranger.ask(d.Talk(RPC, b"?")) == d.Refused()
    assert victim.count("requests refused") == 1


def full_of_ipv6() -> tuple[Victim, Stranger]:
    """Contacts with the longest addresses, and providers of one stream with as many as fit."""
    victim = Victim()
    near = [
        d.Told(PeerId(number.to_bytes(32)), V6.ip[:4] + number.to_bytes(2) + V6.ip[6:], 65535)
        for number in range(1, 60)
    ]
    for number, each in enumerate(near):
        contact = each._replace(key=PeerId(keys_of(50 + number).public))
        victim.dht.warm([contact], 0.0)
    asker = Stranger(victim, 2, V6)
    asker.greet()
    return victim, asker


def test_an_answer_of_twenty_contacts_with_ipv6_addresses_fits() -> None:
    victim, asker = full_of_ipv6()
    answer = asker.ask(d.FindNode(ID))
    assert isinstance(answer, d.Nodes)
    assert len(answer.contacts) == 20
    assert {len(each.ip) for each in answer.contacts} == {16}
    assert 1200 < len(victim.said[0].data) <= DATAGRAM_BYTES_MAX


@pytest.mark.parametrize("addresses", range(9))
def test_an_answer_of_records_and_contacts_with_ipv6_addresses_fits(addresses: int) -> None:
    victim, asker = full_of_ipv6()
    content = ProviderContent("stream", bytes(32), (V6,) * addresses)
    for number in range(20):
        record = make_record(keys_of(200 + number), content, 2**53 - 1, int(UNIX_S) + 600)
        assert asker.ask(d.PutRecord(record.encoded)) == d.Stored(d.KEPT)
    sizes = set()
    for _ in range(20):
        answer = asker.ask(d.GetRecord(provider_key("stream", bytes(32)), None))
        assert isinstance(answer, d.Records)
        assert answer.records
        assert len(answer.contacts) > 5
        sizes.add(len(victim.said[0].data))
    assert 1100 < max(sizes) <= DATAGRAM_BYTES_MAX


def test_the_longest_record_fits_into_a_request_and_an_answer() -> None:
    victim, asker = full_of_ipv6()
    names = tuple(f"c{number}".ljust(59, "c") for number in range(8))
    longest = make_record(asker.keys, NodeContent((V6,) * 4, names), 1, int(UNIX_S) + 600)
    assert d.RECORD_BYTES_MAX - 40 < len(longest.encoded) <= d.RECORD_BYTES_MAX
    assert asker.ask(d.PutRecord(longest.encoded)) == d.Stored(d.KEPT)
    answer = asker.ask(d.GetRecord(longest.key, None))
    assert isinstance(answer, d.Records)
    assert answer.records == (longest.encoded,)
    assert len(answer.contacts) > 5
    assert len(victim.said[0].data) <= DATAGRAM_BYTES_MAX
