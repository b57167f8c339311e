"""Many nodes in virtual time: lookups find what brute force finds, under loss and among liars."""

import pytest

from qbix_node.dht import requests as r
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.limits import Limits
from qbix_node.dht.machine import Dht
from qbix_node.dht.messages import Told
from qbix_node.dht.records import NodeContent, ProviderContent, make_record, provider_key
from qbix_node.dht.upkeep import LIFETIME_S, REPUBLISH_S
from qbix_node.machines import PeerId
from tests.dht.liars import Colluder, Inventor, Liar, Misplacer, Silent
from tests.dht.network import UNIX_S, Network, Node, found_ids, is_exact, told

STREAM = b"s" * 32
ADDRESS = Endpoint(bytes((127, 0, 0, 1)), 8008)
PROVIDER = ProviderContent("stream", STREAM, (ADDRESS,))


def share_exact(
    network: Network, lookups: int, size: int = 20, among: list[Node] | None = None
) -> float:
    exact = 0
    for _ in range(lookups):
        node = network.rng.choice(among or network.nodes)
        found = network.find(node, NodeId(network.rng.randbytes(32)))
        exact += is_exact(network, node, found, size)
    return exact / lookups


@pytest.mark.parametrize("size", [2, 5, 25])
def test_nodes_that_join_one_after_another_find_what_brute_force_finds(size: int) -> None:
    network = Network(1, size)
    network.join(network.nodes, network.nodes[0])
    assert share_exact(network, 40, min(size - 1, 20)) == 1


def test_two_hundred_nodes_find_what_brute_force_finds_and_ignore_nothing_that_is_said() -> None:
    network = Network(2, 200)
    network.warm()
    assert share_exact(network, 60) == 1
    ignored = {name for node in network.nodes for name in node.dht.figures() if "ignored" in name}
    assert ignored == set()


@pytest.mark.parametrize(("loss", "least"), [(0.01, 0.97), (0.05, 0.85)])
def test_lost_datagrams_are_made_up_for(loss: float, least: float) -> None:
    network = Network(3, 200, loss=loss)
    network.warm()
    assert share_exact(network, 60) >= least


def test_silent_nodes_cost_time_and_nothing_else() -> None:
    network = Network(4, 200)
    network.warm()
    for node in network.rng.sample(network.nodes, 40):
        network.kill(node)
    honest = [each for each in network.nodes if each.alive]
    assert share_exact(network, 100, 16, honest) >= 0.9
    evidence = network.find(honest[0], honest[1].id).evidence
    assert evidence.asked > evidence.answered > 0


def among_liars(seed: int, kind: type[Liar], *, paths: int = 4) -> float:
    """160 honest nodes and 40 liars, who know each other and everybody."""
    network = Network(seed, 160, limits=Limits(paths=paths))
    liars = [network.add(kind) for _ in range(40)]
    for liar in liars:
        if isinstance(liar, Colluder):
            liar.friends = liars
    network.warm()
    return share_exact(network, 60, 16, network.nodes[:160])


def test_nodes_that_only_tell_of_each_other_hide_nobody() -> None:
    assert among_liars(5, Colluder) >= 0.95


def test_nodes_that_say_others_were_elsewhere_hide_nobody() -> None:
    assert among_liars(6, Misplacer) >= 0.95


def test_nodes_that_tell_of_nobody_that_there_is_hide_nobody() -> None:
    assert among_liars(7, Inventor) >= 0.95


def test_a_node_is_a_contact_only_after_it_answered() -> None:
    network = Network(7, 2)
    asker, asked = network.nodes
    asker.want(r.Bootstrap((told(asked),)))
    network.run(0.5)
    assert [each.id for each in asked.dht.table] == [asker.id]
    mute = network.add(Silent)
    mute.want(r.Bootstrap((told(asked),)))
    network.run(20)
    assert asked.dht.figures()["requests served"] > 1
    assert asked.dht.table.get(mute.id) is None


def test_nodes_that_join_at_once_know_each_other_soon() -> None:
    network = Network(20, 20)
    for node in network.nodes[1:]:
        node.want(r.Bootstrap((told(network.nodes[0]),)))
    network.run(60)
    assert {len(node.dht.table) for node in network.nodes} == {19}


def test_a_node_without_contacts_tries_its_ways_in_again() -> None:
    network = Network(8, 2)
    node, way_in = network.nodes
    del network.places[way_in.endpoint]
    node.want(r.Bootstrap((told(way_in),)))
    network.run(100)
    assert len(node.dht.table) == 0
    network.places[way_in.endpoint] = way_in
    network.run(120)
    assert len(node.dht.table) == 1


def test_a_way_in_to_another_part_of_the_network_brings_both_parts_together() -> None:
    network = Network(21, 12)
    here, there = network.nodes[:6], network.nodes[6:]
    network.join(here, here[0])
    network.join(there, there[0])
    assert {len(node.dht.table) for node in network.nodes} == {5}
    here[3].want(r.Bootstrap((told(there[3]),)))
    network.run(1300)
    assert {len(node.dht.table) for node in network.nodes} == {11}


def test_dead_contacts_are_noticed_though_nobody_needs_them() -> None:
    network = Network(9, 80)
    network.warm()
    dead = network.nodes[5]
    network.kill(dead)
    knew = [node for node in network.nodes if node.alive and node.dht.table.get(dead.id)]
    assert knew
    for node in network.nodes:
        node.want(r.ClockSet(UNIX_S))  # wakes it
    network.run(900)
    assert not [node for node in knew if node.dht.table.get(dead.id)]


def test_a_node_that_moved_is_found_again() -> None:
    network = Network(10, 30)
    network.join(network.nodes, network.nodes[0])
    moved = network.nodes[7]
    network.move(moved, Endpoint(bytes((127, 9, 9, 9)), 999))
    network.run(900)
    found = network.find(network.nodes[20], moved.id)
    assert found.nodes[0] == told(moved)


# ---- records ----


def test_a_provider_is_found_by_what_it_holds() -> None:
    network = Network(11, 60)
    network.join(network.nodes, network.nodes[0])
    publishers = network.nodes[3:6]
    for node in publishers:
        node.want(r.Publish(PROVIDER))
    network.run(10)
    got = network.get(network.nodes[50], provider_key("stream", STREAM))
    assert {each.signer for each in got.records} == {each.key for each in publishers}
    assert {each.content for each in got.records} == {PROVIDER}
    only = network.get(network.nodes[51], provider_key("stream", STREAM), publishers[0].key)
    assert [each.signer for each in only.records] == [publishers[0].key]


def test_the_newest_record_wins_wherever_old_ones_lie() -> None:
    network = Network(12, 60)
    network.join(network.nodes, network.nodes[0])
    writer = network.nodes[1]
    expires_s = int(UNIX_S) + 3600
    old = make_record(writer.keys, NodeContent((ADDRESS,), ()), 1, expires_s)
    new = make_record(writer.keys, NodeContent((), ("dht",)), 2, expires_s)
    assert network.store(writer, new).kept_by >= 20
    assert network.store(writer, old).kept_by == 0
    got = network.get(network.nodes[40], new.key)
    assert got.records == (new,)


def test_a_node_whose_clock_was_ahead_once_is_heard_though_it_forgot_that() -> None:
    network = Network(21, 12)
    network.join(network.nodes, network.nodes[0])
    node = network.nodes[3]
    node.want(r.ClockSet(UNIX_S + 12 * 3600))
    node.want(r.Publish(NodeContent((ADDRESS,), ())))
    network.run(20)
    node.dht, node.timers = Dht(network.sealing(node.keys)), {}
    node.want(r.ClockSet(UNIX_S))
    node.want(r.Bootstrap((told(network.nodes[0]),)))
    node.want(r.Publish(NodeContent((), ("dht",))))
    network.run(60)
    (record,) = network.get(network.nodes[8], node.id).records
    assert record.content == NodeContent((), ("dht",))


class Refusing(Node):
    """Keeps no record."""

    def __init__(self, network: Network, number: int, limits: Limits) -> None:
        super().__init__(network, number, limits)
        self.dht._state.shelf.put = lambda *_: False  # type: ignore[method-assign]


def test_what_nobody_keeps_is_offered_ever_more_rarely() -> None:
    network = Network(22, 45, node=Refusing)
    network.warm()
    node = network.nearest(provider_key("stream", STREAM), 45)[-1]
    before = node.dht.figures().get("lookups", 0)
    node.want(r.Publish(PROVIDER))
    network.run(600)
    assert 6 < node.dht.figures()["lookups"] - before < 30


def test_records_outlive_who_keeps_them_and_end_with_who_published_them() -> None:
    network = Network(13, 60)
    network.join(network.nodes, network.nodes[0])
    publisher = network.nodes[3]
    publisher.want(r.Publish(PROVIDER))
    network.run(10)
    key = provider_key("stream", STREAM)
    for node in network.nearest(key, 30):
        if node is not publisher:
            network.kill(node)
    network.run(REPUBLISH_S * 1.3)
    reader = next(each for each in network.nodes if each.alive and each is not publisher)
    assert network.get(reader, key).records
    network.kill(publisher)
    network.run(LIFETIME_S + 60)
    assert network.get(reader, key).records == ()
    assert all(each.dht.figures()["records"] == 0 for each in network.nodes if each.alive)


def test_what_is_withdrawn_is_not_published_again() -> None:
    network = Network(14, 20)
    network.join(network.nodes, network.nodes[0])
    node, key = network.nodes[3], provider_key("stream", STREAM)
    node.want(r.Publish(PROVIDER))
    network.run(10)
    node.want(r.Withdraw(key, "provider"))
    network.run(LIFETIME_S + 60)
    assert network.get(network.nodes[5], key).records == ()


def test_a_newcomer_finds_what_was_published_after_half_of_all_were_replaced() -> None:
    network = Network(15, 20)
    network.join(network.nodes, network.nodes[0])
    network.nodes[12].want(r.Publish(PROVIDER))
    network.run(10)
    for node in network.nodes[:10]:
        network.kill(node)
    newcomers = [network.add() for _ in range(10)]
    network.join(newcomers, network.nodes[15])
    newcomer = network.add()
    newcomer.want(r.Bootstrap((told(network.nodes[18]),)))
    network.run(10)
    got = network.get(newcomer, provider_key("stream", STREAM))
    assert [each.signer for each in got.records] == [network.nodes[12].key]


def test_one_seed_is_one_run() -> None:
    def trace() -> list[tuple[bytes, Endpoint, Endpoint]]:
        network, seen = Network(16, 30, loss=0.02), list[tuple[bytes, Endpoint, Endpoint]]()
        network.observe = lambda *sent: seen.append(sent)
        network.join(network.nodes, network.nodes[0])
        network.find(network.nodes[4], NodeId(bytes(32)))
        return seen

    assert trace() == trace()


def test_requests_of_upper_layers_are_answered_by_who_registered_them() -> None:
    network = Network(17, 2)
    asker, asked = network.nodes
    asked.dht.register(0x20, lambda peer, endpoint, data: peer[:4] + data if data else None)

    def ask(rpc: int, data: bytes) -> object:
        reply = network.answer(asker, lambda number: r.Ask(number, told(asked), rpc, data))
        assert isinstance(reply, r.Replied)
        return reply.data

    assert ask(0x20, b"hello") == asker.key[:4] + b"hello"
    assert ask(0x20, b"") is None
    assert ask(0x21, b"hello") is None
    assert "calls unanswered" not in asker.dht.figures()


def test_a_node_that_is_not_there_gives_no_answer() -> None:
    network = Network(18, 1)
    nobody = Told(PeerId(bytes(31) + b"\x09"), *ADDRESS)
    reply = network.answer(network.nodes[0], lambda number: r.Ask(number, nobody, 0x20, b""))
    assert isinstance(reply, r.Replied)
    assert reply.data is None


def test_who_is_found_answered() -> None:
    network = Network(19, 40)
    network.warm()
    dead = network.nodes[20]
    network.kill(dead)
    assert dead.id not in found_ids(network.find(network.nodes[0], dead.id))
