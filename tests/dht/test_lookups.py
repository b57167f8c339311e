"""Nodes on datagrams in memory: they find each other, and what is kept (spec/dht.md 4 to 9)."""

import random

import pytest

from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.records import ProviderContent, make_record, provider_key
from qbix_node.dht.wire import DATAGRAM_BYTES_MAX
from tests.dht.network import UNIX_S, Network, is_exact, keys_of

NODES = 50
TARGETS = [NodeId(random.Random(number).randbytes(32)) for number in range(12)]


@pytest.fixture(scope="module")
def network() -> Network:
    """All have joined by the first one."""
    made = Network(1, NODES)
    made.join(made.nodes, made.nodes[0])
    return made


def test_lookups_find_exactly_the_nearest_nodes(network: Network) -> None:
    for number, target in enumerate(TARGETS):
        node = network.nodes[number * 4]
        assert is_exact(network, node, network.find(node, target))


def test_lookups_are_exact_though_datagrams_are_lost() -> None:
    network = Network(2, NODES, loss=0.03)
    network.join(network.nodes, network.nodes[0])
    network.run(60)
    exact = [
        is_exact(network, network.nodes[n], network.find(network.nodes[n], target))
        for n, target in enumerate(TARGETS)
    ]
    assert sum(exact) >= len(exact) - 1


def test_the_dead_are_forgotten() -> None:
    network = Network(3, NODES)
    network.join(network.nodes, network.nodes[0])
    for node in network.nodes[10:20]:
        network.kill(node)
    network.run(900)  # until all were asked whether they are there
    for target in TARGETS[:4]:
        assert is_exact(network, network.nodes[30], network.find(network.nodes[30], target))


def test_a_lookup_goes_on_with_others_that_are_known_when_all_near_the_target_fell_silent() -> None:
    """Nobody has missed them yet, so that all who answer tell of them alone."""
    network = Network(7, NODES)
    network.join(network.nodes, network.nodes[0])
    target = int.from_bytes(TARGETS[0])
    by_distance = sorted(network.nodes, key=lambda each: int.from_bytes(each.id) ^ target)
    for node in by_distance[:20]:
        network.kill(node)
    assert is_exact(network, by_distance[-1], network.find(by_distance[-1], TARGETS[0]))


def test_what_is_published_is_found_by_all_and_goes_on_when_nodes_go(network: Network) -> None:
    content = ProviderContent("stream", b"s" * 32, (Endpoint(bytes((127, 0, 0, 1)), 8008),))
    network.nodes[3].want(r.Publish(content))
    network.run(20)
    key = provider_key("stream", b"s" * 32)
    for node in (network.nodes[20], network.nodes[49]):
        (record,) = network.get(node, key).records
        assert (record.signer, record.content) == (network.nodes[3].key, content)


def test_a_record_that_somebody_else_signed_is_not_kept(network: Network) -> None:
    content = ProviderContent("feed", b"f" * 32, ())
    made = make_record(keys_of(9), content, 1, int(UNIX_S + network.now) + 600)
    forged = type(made)(made.signer, 2, made.expires_s, content, made.signature)
    for node in network.nodes[5:25]:  # some of them are near the key themselves
        placed = network.answer(node, lambda number: r.Store(number, forged))
        assert isinstance(placed, r.Placed)
        assert placed.kept_by == 0
        assert network.get(node, forged.key).records == ()


def test_signed_records_that_are_over_keep_no_others_from_being_published() -> None:
    network = Network(5, 30)
    network.join(network.nodes, network.nodes[0])
    node = network.nodes[3]
    for number in range(40):
        content = ProviderContent("stream", number.to_bytes(32), ())
        over = make_record(keys_of(99), content, 1, int(UNIX_S + network.now) - 1)
        node.want(r.PublishSigned(over))
    node.want(r.Publish(ProviderContent("stream", b"s" * 32, ())))
    network.run(60)
    assert network.get(network.nodes[20], provider_key("stream", b"s" * 32)).records


def test_many_lookups_that_wait_all_end_though_nobody_is_known_any_more() -> None:
    network = Network(6, 3)
    network.join(network.nodes, network.nodes[0])
    node = network.nodes[0]
    for other in network.nodes[1:]:
        network.kill(other)
    before = len(node.found)
    for number in range(2000):
        node.want(r.Find(number, NodeId(number.to_bytes(32))))
    network.run(300)
    assert len(node.found) - before == 2000
    assert node.dht.figures()["searches"] == 0


def test_no_datagram_is_longer_than_1280_bytes_and_strangers_get_no_more_than_they_send() -> None:
    network, sizes = Network(4, NODES), dict[tuple[Endpoint, Endpoint], list[int]]()

    def observe(data: bytes, source: Endpoint, to: Endpoint) -> None:
        assert len(data) <= DATAGRAM_BYTES_MAX
        sizes.setdefault((source, to), []).append(len(data))

    network.observe = observe
    network.join(network.nodes, network.nodes[0])
    first = network.nodes[0].endpoint
    for node in network.nodes[1:]:
        asked, answered = sizes[node.endpoint, first], sizes[first, node.endpoint]
        assert answered[0] <= asked[0], "before the address is proven"


def test_junk_of_any_kind_is_counted_and_changes_nothing(network: Network) -> None:
    rng, victim = random.Random(7), network.nodes[7]
    heard: list[bytes] = []

    def observe(data: bytes, _: Endpoint, to: Endpoint) -> None:
        if to == victim.endpoint:
            heard.append(data)

    network.observe = observe
    network.find(network.nodes[8], victim.id)
    known, before = victim.dht.contacts(), victim.dht.figures()["requests served"]
    strange = Endpoint(bytes((127, 9, 9, 9)), 999)
    sent = 0
    for _ in range(400):
        data = bytearray(
            rng.choice(heard) if rng.random() < 0.8 else rng.randbytes(rng.randrange(1500))
        )
        for _ in range(rng.randrange(1, 4)):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        victim.hear(bytes(data), strange)
        victim.hear(bytes(data[: rng.randrange(len(data) + 1)]), network.nodes[8].endpoint)
        sent += 2
    for replay in heard:  # replays, from where they came
        victim.hear(replay, network.nodes[8].endpoint)
    figures = victim.dht.figures()
    assert figures["requests served"] == before
    assert sum(count for name, count in figures.items() if name.startswith("ignored")) > sent // 2
    assert victim.dht.contacts() == known
    assert is_exact(network, victim, network.find(victim, TARGETS[0]))
