"""Who tries to stand between a node and all others (spec/dht.md 6 to 8)."""

from collections import Counter

import pytest

from qbix_node.dht import messages as d
from qbix_node.dht import requests as r
from qbix_node.dht import searches
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId, node_id
from qbix_node.dht.limits import Limits
from qbix_node.dht.lookup import KNOWN_MAX, Lookup
from qbix_node.dht.records import make_record, provider_key
from qbix_node.dht.state import Turn
from qbix_node.dht.table import PER_SUBNET_MAX
from qbix_node.dht.upkeep import BOOTSTRAP_MAX, PROBES_PER_NETWORK_MAX, REFRESH_S
from qbix_node.machines import PeerId
from tests.dht.liars import Endless, Flooder, Pointer, Relay
from tests.dht.network import UNIX_S, Network, is_exact, keys_of, told
from tests.dht.test_network import PROVIDER, STREAM
from tests.dht.victim import Stranger, Victim, public


def test_who_passes_datagrams_on_takes_over_nobody() -> None:
    network = Network(1, 2)
    one, other = network.nodes
    one.want(r.Bootstrap((told(other),)))
    network.run(100)
    relay = network.add(Relay)
    assert isinstance(relay, Relay)
    relay.between = one, other
    for number in range(40):
        seemingly = d.Told(other.key, *relay.endpoint)
        one.want(r.Ask(number, seemingly, 0x20, b""))
        network.run(10)
    assert [each.endpoint for each in one.dht.table] == [other.endpoint]
    assert [each.endpoint for each in other.dht.table] == [one.endpoint]


def test_who_moved_to_where_a_relay_was_is_found_by_who_knew_it() -> None:
    network = Network(2, 10)
    network.join(network.nodes, network.nodes[0])
    moved = network.nodes[4]
    network.move(moved, Endpoint(bytes((127, 9, 9, 9)), 999))
    network.run(700)
    assert all(
        contact.endpoint == moved.endpoint
        for node in network.nodes
        if node is not moved and (contact := node.dht.table.get(moved.id))
    )
    assert sum(node.dht.table.get(moved.id) is not None for node in network.nodes) == 9


def test_who_was_cut_off_knows_all_whom_it_knew() -> None:
    network = Network(3, 25)
    network.join(network.nodes, network.nodes[0])
    node = network.nodes[7]
    known = {each.id for each in node.dht.table}
    place = network.places.pop(node.endpoint)
    network.run(1500)
    assert node.dht.figures()["calls unanswered"] > 3 * len(known)
    assert {each.id for each in node.dht.table} == known
    network.places[node.endpoint] = place
    network.run(60)
    assert is_exact(network, node, network.find(node, NodeId(bytes(32))))


def test_who_is_dead_goes_as_soon_as_others_answer() -> None:
    network = Network(4, 3)
    network.join(network.nodes, network.nodes[0])
    network.kill(network.nodes[1])
    network.run(900)
    assert [each.id for each in network.nodes[0].dht.table] == [network.nodes[2].id]


def test_those_who_never_answer_keep_nobody_out() -> None:
    victim = Victim()
    for number in range(100, 200):
        silent = Stranger(victim, number, Endpoint(bytes((8, 8, 8, number)), 1))
        silent.ask(d.Ping())
        silent.ask(d.Ping())
    assert victim.count("calls") == PROBES_PER_NETWORK_MAX
    honest = Stranger(victim, 2)
    honest.greet()
    assert [each.id for each in victim.dht.table] == [node_id(honest.key)]


def test_all_ways_in_are_asked_though_liars_answer_first() -> None:
    victim = Victim()
    ways_in = tuple(
        d.Told(PeerId(keys_of(number).public), *public(number)) for number in range(10, 300)
    )
    victim.want(r.Bootstrap(ways_in))
    assert {each.to for each in victim.said} == {Endpoint(*each[1:]) for each in ways_in}
    assert len(ways_in) < BOOTSTRAP_MAX


def test_ways_in_are_asked_again_though_there_are_contacts() -> None:
    network = Network(5, 6)
    node, way_in, friends = network.nodes[0], network.nodes[1], network.nodes[2:]
    network.places.pop(way_in.endpoint)
    node.want(r.Bootstrap((told(way_in), *map(told, friends))))
    network.run(600)
    assert node.dht.table.get(way_in.id) is None
    network.places[way_in.endpoint] = way_in
    network.run(REFRESH_S + 60)
    assert node.dht.table.get(way_in.id) is not None


# ---- answers ----


def at_public_places(network: Network) -> None:
    for number, node in enumerate(network.nodes):
        network.move(node, public(number))


def test_a_lookup_is_not_turned_at_a_network() -> None:
    network = Network(6, 20)
    liars = [network.add(Pointer) for _ in range(20)]
    at_public_places(network)
    network.warm()
    to = Counter[bytes]()
    network.observe = lambda data, source, to_: to.update([to_.ip[:3]])
    node = network.nodes[0]
    found = network.find(node, NodeId(bytes(32)))
    assert found.evidence.asked > len(liars)
    assert 0 < to[bytes((8, 8, 8))] <= 3 * PER_SUBNET_MAX
    nearest = network.nearest(NodeId(bytes(32)), 16, but=node)
    assert [each.key for each in nearest] == [each.key for each in found.nodes[:16]]


def test_what_liars_tell_takes_little_room() -> None:
    network = Network(7, 1)
    liars = [network.add(Endless) for _ in range(160)]
    for liar in liars:
        assert isinstance(liar, Endless)
        liar.friends = liars
    at_public_places(network)
    network.warm()
    node, lookups = network.nodes[0], list[Lookup]()
    turn = Turn(network.now, node.rng)
    node.dht._searches.search(
        d.FindNode(NodeId(bytes(32))),
        lambda lookup, _: lookups.append(lookup),
        turn,
    )
    for effect in turn.effects:
        if isinstance(effect, r.Say):
            network.carry(effect.data, node.endpoint, effect.to)
    network.run(120)
    (lookup,) = lookups
    limits = Limits()
    most = limits.paths * KNOWN_MAX + limits.lookup_calls_max
    assert 300 < len(lookup._contacts) <= most
    assert lookup._contacts.keys() == lookup._depths.keys()


class OfThisStream(Flooder):
    def make(self, number: int) -> bytes:
        expires_s = int(UNIX_S + self.network.now) + 600
        return make_record(keys_of(10_000 + number), PROVIDER, 1, expires_s).encoded


def test_many_records_of_liars_do_not_hide_that_of_an_honest_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searches, "CHECKED_MAX", 60)
    network = Network(8, 40)
    liars = [network.add(OfThisStream) for _ in range(120)]
    for liar in liars:
        assert isinstance(liar, Flooder)
        liar.friends = liars
    network.warm()
    publisher, reader = network.nodes[3], network.nodes[9]
    network.store(publisher, make_record(publisher.keys, PROVIDER, 1, int(UNIX_S) + 600))
    got = network.get(reader, provider_key("stream", STREAM))
    assert got.evidence.asked > 40
    assert publisher.key in {each.signer for each in got.records}
