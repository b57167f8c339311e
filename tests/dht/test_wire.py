"""Datagrams, and what liars who seal well can send (spec/dht.md 3 to 5)."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qbix_node.dht import messages as d
from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.peers import NO_COOKIE, WINDOW, Peer
from qbix_node.dht.wire import (
    ANSWER,
    COOKIE,
    DATAGRAM_BYTES_MAX,
    HEADER_BYTES,
    NUMBER_MAX,
    REFUSED,
    Header,
    Sealing,
    read_header,
)
from qbix_node.errors import Malformed
from qbix_node.machines import PeerId
from tests.dht.fuzz import odd_body
from tests.dht.network import Network, is_exact, keys_of

hashes = st.binary(min_size=32, max_size=32)
keys = hashes.map(PeerId)
ids = hashes.map(NodeId)
ports = st.integers(1, 65535)
ips = st.one_of(
    st.tuples(st.integers(1, 223), *[st.integers(0, 255)] * 3).map(bytes),
    st.binary(min_size=15, max_size=15).map(lambda rest: b"\x20" + rest),
)
contacts = st.lists(st.builds(d.Told, keys, ips, ports), max_size=d.CONTACTS_MAX).map(tuple)
records = st.lists(st.binary(max_size=80), max_size=d.RECORDS_MAX).map(tuple)
kinds = st.integers(d.FIRST_OF_OTHERS, d.LAST_OF_OTHERS)
messages = st.one_of(
    st.builds(d.Ping),
    st.builds(d.Pong, st.builds(Endpoint, ips, ports)),
    st.builds(d.FindNode, ids),
    st.builds(d.Nodes, contacts),
    st.builds(d.GetRecord, ids, st.none() | keys),
    st.builds(d.Records, records, contacts),
    st.builds(d.PutRecord, st.binary(max_size=d.RECORD_BYTES_MAX)),
    st.builds(d.Stored, st.sampled_from([d.KEPT, d.NOT_KEPT])),
    st.builds(d.Talk, kinds | kinds.map(lambda kind: kind | ANSWER), st.binary(max_size=100)),
    st.builds(d.Refused),
)


@given(messages)
def test_a_message_is_read_as_it_was_written(message: d.Message) -> None:
    assert d.read_message(message.type, d.encode(message)) == message


@given(messages, st.integers(0, 255), st.data())
def test_another_body_is_another_message_or_none(
    message: d.Message, kind: int, data: st.DataObject
) -> None:
    """There is one form of each message; what is not one is Malformed, and nothing else."""
    body = bytearray(d.encode(message))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    for changed in (bytes(body), bytes(body[:-1]), bytes(body) + b"\0"):
        try:
            other = d.read_message(kind, changed)
        except Malformed:
            continue
        assert d.encode(other) == changed


@given(
    st.integers(0, 127), st.integers(0, NUMBER_MAX), keys, ids, st.binary(min_size=24, max_size=24)
)
def test_a_header_is_read_as_it_was_written(
    kind: int, number: int, sender: PeerId, to: NodeId, rest: bytes
) -> None:
    header = Header(1, kind, number, sender, to, rest[:16], rest[16:])
    assert read_header(header.encode() + bytes(17)) == header


@pytest.mark.parametrize(
    ("kind", "version", "boxed"),
    [(1, 1, 16), (1, 2, 17), (COOKIE, 1, 1), (1, 1, DATAGRAM_BYTES_MAX - HEADER_BYTES + 1)],
)
def test_other_lengths_and_versions_are_malformed(kind: int, version: int, boxed: int) -> None:
    header = Header(version, kind, 1, PeerId(bytes(32)), NodeId(bytes(32)), NO_COOKIE, bytes(8))
    with pytest.raises(Malformed):
        read_header(header.encode() + bytes(boxed))


@given(st.binary(max_size=1400))
def test_any_bytes_are_a_header_or_malformed(data: bytes) -> None:
    try:
        header = read_header(data)
    except Malformed:
        return
    assert header.encode() == data[:HEADER_BYTES]


def test_a_box_opens_for_two_nodes_and_under_its_own_header_only() -> None:
    one, two, three = (Sealing(keys_of(number)) for number in (1, 2, 3))
    shared = one.agree(PeerId(two.keys.public))
    assert shared is not None
    assert shared == two.agree(PeerId(one.keys.public))
    assert shared != three.agree(PeerId(one.keys.public))
    datagram = one.seal(bytes(HEADER_BYTES), b"body", shared)
    assert two.unseal(datagram, shared) == b"body"
    for place in range(len(datagram)):
        changed = datagram[:place] + bytes([datagram[place] ^ 1]) + datagram[place + 1 :]
        assert two.unseal(changed, shared) is None


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=200))
@example([WINDOW, 0])
@example([WINDOW, 1, 1])
def test_each_number_is_taken_once_and_none_that_is_far_behind(numbers: list[int]) -> None:
    peer, came = Peer(shared=bytes(32)), set[int]()
    for number in numbers:
        fits = number not in came and number > max(came, default=0) - WINDOW
        assert peer.is_new(number, 0) is fits
        if fits:
            peer.came_with(number, 0)
            came.add(number)


@given(st.lists(st.tuples(st.integers(0, 3 * WINDOW), st.integers(0, 20)), max_size=60))
def test_a_sender_may_count_anew_and_nothing_of_before_is_taken_again(
    sent: list[tuple[int, int]],
) -> None:
    """A request of each step, with a cookie some milliseconds old; and all replays after each."""
    peer, taken = Peer(shared=bytes(32)), list[tuple[int, int]]()
    for now_ms, (number, age_ms) in enumerate(sent, 20):
        given_ms = now_ms - age_ms
        if peer.is_new(number, given_ms):
            peer.came_with(number, now_ms)
            taken.append((number, given_ms))
        assert not any(peer.is_new(*each) for each in taken)
        assert peer.is_new(number, now_ms + 1), "with a new cookie"
    assert len(set(taken)) == len(taken)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_known_peer_seals_the_node_lives_and_still_finds(seed: int) -> None:
    """As requests, and as answers to what the node asks: all with right keys and cookies."""
    rng, network = random.Random(seed), Network(seed, 30)
    network.join(network.nodes, network.nodes[0])
    victim, liar = network.nodes[4], network.nodes[5]
    sealing = Sealing(liar.keys)
    shared = sealing.agree(victim.key)
    assert shared is not None
    heard = list[Header]()

    def observe(data: bytes, source: Endpoint, to: Endpoint) -> None:
        if (source, to) == (victim.endpoint, liar.endpoint):
            heard.append(read_header(data))

    network.observe = observe

    def send(kind: int, number: int) -> None:
        cookie = heard[-1].cookie if heard else NO_COOKIE
        header = Header(1, kind, number, liar.key, victim.id, cookie, rng.randbytes(8)).encode()
        body = b"" if kind == COOKIE else odd_body(rng)
        data = header if kind == COOKIE else sealing.seal(header, body, shared)
        victim.hear(data, liar.endpoint)

    send(d.PING, 2**60)  # brings a cookie
    served = victim.dht.figures()["requests served"]
    for number in range(1500):
        network.now += 0.02
        send(rng.choice((1, 2, 3, 4, 0x10, rng.randrange(128))), 2**60 + 1 + number)
    assert victim.dht.figures()["requests served"] > served, "some were well formed"
    assert victim.dht.figures()["ignored: malformed"] > 100
    network.places.pop(liar.endpoint)  # it answers by itself from here
    for _ in range(60):
        victim.want(r.Find(0, NodeId(rng.randbytes(32))))
        for asked in [each for each in heard if not each.type & ANSWER]:
            send(rng.choice((asked.type | ANSWER, REFUSED, COOKIE)), asked.number)
        heard[:] = heard[-1:]
        network.run(0.5)
    network.run(60)
    figures = victim.dht.figures()
    assert (figures["calls"], figures["searches"]) == (0, 0)
    network.kill(liar)
    network.run(900)
    target = NodeId(rng.randbytes(32))
    assert is_exact(network, victim, network.find(victim, target))


@pytest.mark.parametrize("boxed", [17, 100, DATAGRAM_BYTES_MAX - HEADER_BYTES])
def test_before_the_address_is_proven_nothing_is_computed_and_no_more_is_sent(boxed: int) -> None:
    network = Network(1, 1)
    victim, sent = network.nodes[0], list[int]()
    network.observe = lambda data, _, __: sent.append(len(data))
    for number in range(200):
        sender = PeerId(keys_of(100 + number % 5).public)
        header = Header(1, number % 128, number, sender, victim.id, bytes([number] * 16), bytes(8))
        victim.hear(header.encode() + bytes(boxed), Endpoint(bytes((9, 9, 9, number % 7)), 53))
    assert sent == [HEADER_BYTES] * 200
    assert victim.dht.figures().get("agreements", 0) == victim.dht.figures()["peers"] == 0
