"""Whom the ConnectionKeeper dials, lets in and hangs up on."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.machines import PeerId
from qbix_node.net import messages as k
from qbix_node.net.address import Address
from qbix_node.net.limits import Limits
from qbix_node.net.machine import (
    COLLISION_S,
    HEARD_FOR_S,
    RETRY_MAX_S,
    STEADY_S,
    ConnectionKeeper,
)
from qbix_node.net.records import read_peers
from qbix_node.store.memory import MemoryDisk, MemoryStore


def peer(name: str) -> PeerId:
    return PeerId(KeyPair.from_seed(name.encode().ljust(32, b".")).public)


def address(name: str, host: str = "") -> Address:
    return Address(host or f"{name}.example", 8008, peer(name))


SMALL, LARGE = sorted(["alice", "bob"], key=peer)  # whose key is the smaller one


@dataclass
class Node:
    """Carries out what a keeper decides; the clock and the connections are in the test's hands."""

    name: str
    limits: Limits = field(default_factory=Limits)
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.numbers = 0
        self.restart()

    def restart(self) -> None:
        known, blocked = read_peers(MemoryStore(self.disk))
        self.keeper = ConnectionKeeper(peer(self.name), self.limits, known, blocked)
        self.rng = random.Random(self.name)
        self.timers: dict[str, float] = {}
        self.findings: list[object] = []
        self.tell(k.Start())

    def tell(self, request: object) -> list[object]:
        return self.handle(m.Requested(request))

    def handle(self, event: m.Event) -> list[object]:
        findings: list[object] = []
        persisted = []
        for effect in self.keeper.handle(event, self.now, self.rng):
            match effect:
                case m.Emit(finding):
                    findings.append(finding)
                case m.SetTimer(name, at):
                    self.timers[name] = at
                case m.Persist(token, writes):
                    self.disk.append(writes)
                    self.disk.sync()
                    persisted.append(m.Persisted(token))
                case other:
                    raise AssertionError(other)
        self.findings += findings
        for event_ in persisted:
            findings += self.handle(event_)
        return findings

    def pass_time(self, seconds: float) -> list[object]:
        findings = []
        until = self.now + seconds
        while self.timers and min(self.timers.values()) <= until:
            name = min(self.timers, key=self.timers.__getitem__)
            self.now = max(self.now, self.timers.pop(name))
            findings += self.handle(m.TimerFired(name))
        self.now = until
        return findings

    def add(self, name: str, host: str = "") -> list[object]:
        return self.tell(k.AddPeer(1, address(name, host)))

    def arrive(self, host: str = "") -> k.LinkId:
        self.numbers += 1
        link = k.LinkId(outgoing=False, number=self.numbers)
        self.tell(k.Arrived(link, host or f"host{self.numbers}"))
        return link

    def let_in(self, name: str, host: str = "") -> k.LinkId:
        """An incoming connection; whether it was accepted is another question."""
        link = self.arrive(host)
        self.tell(k.Proven(link, peer(name)))
        return link

    def dials(self) -> list[k.Dial]:
        return [finding for finding in self.findings if isinstance(finding, k.Dial)]

    def connect(self, dial: k.Dial) -> None:
        self.tell(k.Reached(dial.link))
        self.tell(k.Proven(dial.link, dial.address.key))

    def fate(self, link: k.LinkId) -> str:
        """Why it was hung up, or "up" or "waiting"."""
        proceeds = 0
        for finding in self.findings:
            match finding:
                case k.Hangup(hung_up, reason) if hung_up == link:
                    return reason
                case k.Proceed(proceeding) if proceeding == link:
                    proceeds += 1
                case _:
                    pass
        return "up" if proceeds == 2 else "waiting"


@pytest.fixture
def alice() -> Node:
    return Node("alice")


# ---- dialling ----


def test_a_peer_that_is_added_is_dialled_at_once(alice: Node) -> None:
    assert alice.add("bob") == [k.Dial(k.LinkId(True, 1), address("bob")), k.Done(1)]
    alice.connect(alice.dials()[0])
    assert alice.fate(alice.dials()[0].link) == "up"


def test_nobody_is_dialled_before_the_start() -> None:
    keeper = ConnectionKeeper(peer("alice"), Limits(), {peer("bob"): address("bob")}, set())
    assert keeper.handle(m.TimerFired("dial"), 0.0, random.Random(1)) == ()
    (effect,) = keeper.handle(m.Requested(k.Start()), 0.0, random.Random(1))
    assert effect == m.Emit(k.Dial(k.LinkId(True, 1), address("bob")))


def test_failed_dials_are_repeated_ever_more_rarely(alice: Node) -> None:
    alice.add("bob")
    waits = []
    for _ in range(12):
        alice.tell(k.Gone(alice.dials()[-1].link))
        before = alice.now
        count = len(alice.dials())
        while len(alice.dials()) == count:
            alice.pass_time(0.25)
        waits.append(alice.now - before)
    for failures, wait in enumerate(waits):
        longest = min(RETRY_MAX_S, 2.0**failures)
        assert longest / 2 <= wait <= longest + 0.5
    assert len({wait / 2**i for i, wait in enumerate(waits)}) > 6  # jitter


def test_a_lost_connection_is_made_again_soon_after_it_was_steady(alice: Node) -> None:
    alice.add("bob")
    for _ in range(5):
        alice.tell(k.Gone(alice.dials()[-1].link))
        alice.pass_time(60)
    alice.connect(alice.dials()[-1])
    alice.pass_time(STEADY_S)
    alice.tell(k.Gone(alice.dials()[-1].link))
    assert [type(finding) for finding in alice.pass_time(1)] == [k.Dial]


def test_a_peer_that_hangs_up_at_once_is_no_success(alice: Node) -> None:
    alice.add("bob")
    for _ in range(100):
        alice.connect(alice.dials()[-1])
        alice.tell(k.Gone(alice.dials()[-1].link))
        alice.pass_time(10)
    assert len(alice.dials()) < 20


def test_who_is_connected_is_not_dialled(alice: Node) -> None:
    alice.let_in("bob")
    assert alice.add("bob") == [k.Done(1)]
    assert alice.pass_time(1000) == []


def test_the_same_wish_twice_changes_nothing(alice: Node) -> None:
    alice.add("bob")
    assert alice.add("bob") == [k.Done(1)]


def test_dials_stop_at_the_cap_and_go_on_below_it() -> None:
    alice = Node("alice", Limits(connections_max=2, connections_reserved=0))
    for name in ("bob", "carol", "dave"):
        alice.add(name)
    assert [dial.address for dial in alice.dials()] == [address("bob"), address("carol")]
    alice.tell(k.Gone(alice.dials()[0].link))
    assert alice.dials()[-1].address == address("dave")


# ---- wishes ----


def test_peers_are_remembered(alice: Node) -> None:
    alice.add("bob")
    alice.add("carol")
    alice.tell(k.RemovePeer(2, peer("carol")))
    alice.tell(k.BlockPeer(3, peer("mallory")))
    alice.restart()
    assert alice.keeper.known == {peer("bob"): address("bob")}
    assert alice.keeper.blocked == {peer("mallory")}
    assert [dial.address for dial in alice.dials()] == [address("bob")]


def test_a_wish_is_done_only_once_it_is_durable() -> None:
    keeper = ConnectionKeeper(peer("alice"), Limits(), {}, set())
    (persist,) = keeper.handle(m.Requested(k.AddPeer(7, address("bob"))), 0.0, random.Random(1))
    assert isinstance(persist, m.Persist)
    assert keeper.handle(m.Persisted(persist.token), 0.0, random.Random(1)) == (m.Emit(k.Done(7)),)
    assert keeper.handle(m.Persisted(persist.token), 0.0, random.Random(1)) == ()


def test_the_node_does_not_add_or_block_itself(alice: Node) -> None:
    assert alice.add("alice") == [k.Refused(1, "that is the address of this node")]
    assert alice.tell(k.BlockPeer(2, peer("alice"))) == [k.Refused(2, "that is this node")]


def test_known_and_blocked_peers_have_a_limit() -> None:
    alice = Node("alice", Limits(known_peers_max=1))
    alice.add("bob")
    alice.tell(k.BlockPeer(2, peer("mallory")))
    assert alice.add("carol") == [k.Refused(1, "1 peers are known, more are not kept")]
    refused = alice.tell(k.BlockPeer(3, peer("carol")))
    assert refused == [k.Refused(3, "1 peers are blocked, more are not kept")]
    assert alice.add("bob", "elsewhere") == [k.Done(1)]


def test_a_removed_peer_is_hung_up_on_and_not_dialled_again(alice: Node) -> None:
    alice.add("bob")
    alice.connect(alice.dials()[0])
    link = alice.dials()[0].link
    assert alice.tell(k.RemovePeer(2, peer("bob"))) == [k.Hangup(link, "removed"), k.Done(2)]
    alice.tell(k.Gone(link))
    assert alice.pass_time(1000) == []


def test_a_blocked_peer_is_hung_up_on_kept_out_and_not_dialled(alice: Node) -> None:
    alice.add("bob")
    alice.connect(alice.dials()[0])
    link = alice.dials()[0].link
    assert alice.tell(k.BlockPeer(2, peer("bob"))) == [k.Hangup(link, "blocked"), k.Done(2)]
    alice.tell(k.Gone(link))
    alice.tell(k.Heard(address("bob")))
    assert alice.fate(alice.let_in("bob")) == "blocked"
    assert alice.pass_time(1000) == []
    alice.tell(k.UnblockPeer(3, peer("bob")))
    assert len(alice.dials()) == 2
    assert alice.fate(alice.let_in("bob")) == "up"


# ---- letting in ----


def test_a_stranger_is_let_in(alice: Node) -> None:
    assert alice.fate(alice.let_in("bob")) == "up"


def test_the_node_does_not_let_itself_in(alice: Node) -> None:
    assert alice.fate(alice.let_in("alice")) == "that is this node itself"


def test_strangers_leave_room_for_known_peers() -> None:
    alice = Node("alice", Limits(connections_max=3, connections_reserved=1))
    for name in ("bob", "carol", "dave"):
        alice.add(name)
        alice.tell(k.Gone(alice.dials()[-1].link))
    fates = [alice.fate(alice.let_in(name)) for name in ("x", "y", "z", "bob")]
    assert fates == ["up", "up", "too many connections", "up"]
    assert alice.fate(alice.arrive()) == "too many connections"
    assert alice.dials()[3:] == []


def test_one_host_has_its_share() -> None:
    alice = Node("alice", Limits(connections_per_host_max=2))
    links = [alice.arrive("2001:db8::1"), alice.let_in("bob", "2001:db8::2")]
    assert alice.fate(alice.arrive("2001:db8::3")) == "too many connections from one host"
    assert alice.fate(alice.arrive("2001:db8:0:1::1")) == "waiting"
    alice.tell(k.Gone(links[0]))
    assert alice.fate(alice.let_in("carol", "2001:db8::3")) == "up"


def test_the_oldest_handshake_gives_way() -> None:
    alice = Node("alice", Limits(handshakes_max=2))
    first, second, third = alice.arrive(), alice.arrive(), alice.arrive()
    assert [alice.fate(link) for link in (first, second, third)] == [
        "too many handshakes",
        "waiting",
        "waiting",
    ]
    assert alice.tell(k.Proven(first, peer("bob"))) == []  # too late
    alice.tell(k.Proven(second, peer("bob")))
    assert alice.fate(second) == "up"
    assert alice.fate(alice.arrive()) == "waiting"
    assert alice.fate(third) == "waiting"


def test_a_flood_of_handshakes_leaves_nothing_behind() -> None:
    alice = Node("alice", Limits(handshakes_max=2))
    for _ in range(1000):
        alice.arrive()
    first_links = [k.LinkId(False, number) for number in range(1, 1001)]
    for link in first_links:
        alice.tell(k.Gone(link))
    assert [alice.fate(alice.let_in(name)) for name in ("bob", "carol")] == ["up", "up"]


# ---- two connections to one peer ----


def test_who_dials_again_has_lost_the_first_connection(alice: Node) -> None:
    first, second = alice.let_in("bob"), alice.let_in("bob")
    assert alice.fate(first) == "replaced by another connection to the same peer"
    assert alice.fate(second) == "up"
    assert alice.tell(k.Gone(first)) == []
    assert alice.pass_time(1000) == []


def test_the_old_connection_is_hung_up_before_the_new_one_is_accepted(alice: Node) -> None:
    alice.let_in("bob")
    link = alice.arrive()
    hangup, proceed = alice.tell(k.Proven(link, peer("bob")))
    assert isinstance(hangup, k.Hangup)
    assert proceed == k.Proceed(link)


def test_a_dial_that_waits_for_the_network_gives_way() -> None:
    for name, other in ((SMALL, LARGE), (LARGE, SMALL)):
        node = Node(name)
        node.add(other)
        assert node.fate(node.let_in(other)) == "up"
        assert node.fate(node.dials()[0].link) != "up"


def test_when_both_dial_at_once_the_dial_of_the_smaller_key_stands() -> None:
    small, large = Node(SMALL), Node(LARGE)
    for node, other in ((small, LARGE), (large, SMALL)):
        node.add(other)
        node.tell(k.Reached(node.dials()[0].link))
    assert small.fate(small.let_in(LARGE)) == "already connected"
    assert large.fate(large.let_in(SMALL)) == "up"
    assert large.fate(large.dials()[0].link).startswith("replaced")


@pytest.mark.parametrize("name", [SMALL, LARGE])
def test_later_who_dials_has_lost_the_connection_that_we_still_believe_in(name: str) -> None:
    other = LARGE if name == SMALL else SMALL
    node = Node(name)
    node.add(other)
    node.connect(node.dials()[0])
    node.pass_time(COLLISION_S + 0.1)
    assert node.fate(node.let_in(other)) == "up"
    assert node.fate(node.dials()[0].link).startswith("replaced")


# ---- the local network ----


def test_who_is_heard_of_is_dialled_within_a_second(alice: Node) -> None:
    alice.tell(k.Heard(address("bob", "10.0.0.2")))
    alice.pass_time(1)
    assert [dial.address for dial in alice.dials()] == [address("bob", "10.0.0.2")]


def test_who_fell_silent_is_not_dialled_again(alice: Node) -> None:
    alice.tell(k.Heard(address("bob")))
    alice.pass_time(HEARD_FOR_S - 1)
    alice.tell(k.Gone(alice.dials()[0].link))
    alice.pass_time(1000)
    assert len(alice.dials()) <= 2


def test_whom_strangers_name_is_dialled_once(alice: Node) -> None:
    alice.tell(k.Heard(address("bob"), once=True))
    alice.pass_time(1)
    for _ in range(5):
        alice.tell(k.Gone(alice.dials()[-1].link))
        alice.pass_time(5)
    assert len(alice.dials()) == 1
    alice.tell(k.Heard(address("bob"), once=True))
    alice.pass_time(1)
    assert len(alice.dials()) == 2


def test_a_known_peer_is_tried_once_where_strangers_say_that_it_is(alice: Node) -> None:
    alice.add("bob", "home.example")
    alice.tell(k.Heard(address("bob", "10.0.0.66"), once=True))
    for _ in range(4):
        alice.tell(k.Gone(alice.dials()[-1].link))
        alice.pass_time(7)
    hosts = [dial.address.host for dial in alice.dials()]
    assert hosts[:2] == ["home.example", "10.0.0.66"]
    assert hosts.count("10.0.0.66") == 1
    assert hosts.count("home.example") >= 3


def test_who_is_heard_of_is_not_remembered(alice: Node) -> None:
    alice.tell(k.Heard(address("bob")))
    alice.pass_time(2)
    alice.restart()
    assert alice.dials() == []


def test_the_node_ignores_itself(alice: Node) -> None:
    alice.tell(k.Heard(address("alice")))
    alice.pass_time(5)
    assert alice.dials() == []


def test_a_known_peer_is_tried_at_both_addresses(alice: Node) -> None:
    alice.add("bob", "home.example")
    for _ in range(3):
        alice.tell(k.Heard(address("bob", "10.0.0.66")))
        alice.tell(k.Gone(alice.dials()[-1].link))
        alice.pass_time(5)
    hosts = [dial.address.host for dial in alice.dials()]
    assert hosts == ["home.example", "10.0.0.66", "home.example", "10.0.0.66"]


def test_heard_peers_have_a_limit_until_some_fall_silent() -> None:
    alice = Node("alice", Limits(heard_peers_max=2))
    for name in ("a", "b", "c"):
        alice.tell(k.Heard(address(name)))
    alice.pass_time(2)
    assert len(alice.dials()) == 2
    alice.pass_time(HEARD_FOR_S)
    alice.tell(k.Heard(address("d")))
    alice.pass_time(1)
    assert alice.dials()[-1].address == address("d")


def test_strangers_heard_of_leave_room_for_known_peers() -> None:
    alice = Node("alice", Limits(connections_max=2, connections_reserved=1))
    alice.tell(k.Heard(address("a")))
    alice.tell(k.Heard(address("b")))
    alice.pass_time(2)
    assert len(alice.dials()) == 1
    alice.add("bob")
    assert alice.dials()[-1].address == address("bob")


def test_events_of_others_and_late_ones_do_nothing(alice: Node) -> None:
    for event in (
        m.TimerFired("other"),
        m.Requested("something"),
        m.Requested(k.Gone(k.LinkId(True, 9))),
        m.Requested(k.Reached(k.LinkId(True, 9))),
        m.Requested(k.Proven(k.LinkId(True, 9), peer("bob"))),
        m.Persisted(m.Token(99)),
        m.Connected(peer("bob"), outgoing=True),
    ):
        assert alice.handle(event) == []


# ---- two nodes ----


@dataclass
class Wire:
    """A connection of two nodes, and what each side has not yet noticed of it."""

    dialler: Node
    listener: Node
    ids: dict[str, k.LinkId]
    stage: int = 0
    up: set[str] = field(default_factory=set)  # sides that consider it up
    closed: set[str] = field(default_factory=set)  # sides that hung up, or noticed


class Pair:
    """Two nodes that know each other, and a network that delivers in any order."""

    def __init__(self) -> None:
        self.nodes = [Node(SMALL), Node(LARGE)]
        self.wires: list[Wire] = []
        for node, other in zip(self.nodes, self.nodes[::-1], strict=True):
            node.add(other.name)
            self.look_at(node)

    def look_at(self, node: Node) -> None:
        """Carry out what the node decided."""
        other = self.nodes[node is self.nodes[0]]
        findings, node.findings = node.findings, []
        for finding in findings:
            match finding:
                case k.Dial(link):
                    self.wires.append(Wire(node, other, {node.name: link}))
                case k.Hangup(link):
                    for wire in self.wires:
                        if wire.ids.get(node.name) == link:
                            wire.closed.add(node.name)
                            wire.up.discard(node.name)
                case _:
                    pass

    def steps(self) -> list[tuple[Wire, Node, bool]]:
        """What can happen next to a side: the next message comes, or (True) it notices the end.
        What was sent before an end may still come.
        """
        return [
            (wire, node, notices)
            for wire in self.wires
            for node in self.nodes
            for notices in (True, False)
            if node.name not in wire.closed
            and (wire.closed if notices else self.next_comes(wire, node))
        ]

    def next_comes(self, wire: Wire, node: Node) -> bool:
        if node is not (wire.dialler if wire.stage in (0, 3) else wire.listener):
            return False
        return wire.stage in (2, 3) if wire.closed else wire.stage < 4

    def step(self, wire: Wire, node: Node, notices: bool) -> None:
        if notices:
            wire.closed.add(node.name)
            wire.up.discard(node.name)
            if node.name in wire.ids:
                node.tell(k.Gone(wire.ids[node.name]))
            self.look_at(node)
            return
        other = self.nodes[node is self.nodes[0]]
        if wire.stage == 0:
            node.tell(k.Reached(wire.ids[node.name]))
        elif wire.stage == 1:
            wire.ids[node.name] = node.arrive()
        else:
            wire.up.add(node.name)
            node.tell(k.Proven(wire.ids[node.name], peer(other.name)))
        wire.stage += 1
        self.look_at(node)

    def settle(self) -> None:
        while steps := self.steps():
            self.step(*steps[0])

    def pass_time(self, seconds: float) -> None:
        for node in self.nodes:
            node.pass_time(seconds)
            self.look_at(node)

    def connections(self) -> list[Wire]:
        return [wire for wire in self.wires if len(wire.up) == 2]


@given(st.lists(st.integers(0, 7) | st.just("wait") | st.just("cut"), max_size=40))
def test_two_nodes_that_dial_each_other_end_with_one_connection(choices: list[int | str]) -> None:
    pair = Pair()
    for choice in choices:
        steps = pair.steps()
        if choice == "wait":
            pair.pass_time(0.3)
        elif choice == "cut":
            for wire in pair.wires:
                wire.closed |= {"the network"}
        elif isinstance(choice, int) and steps:
            pair.step(*steps[choice % len(steps)])
        assert len(pair.connections()) <= 1 or pair.steps()
    for _ in range(20):
        pair.settle()
        pair.pass_time(RETRY_MAX_S)
    pair.settle()
    (wire,) = pair.connections()
    assert not wire.closed


@given(st.lists(st.integers(0, 7), max_size=30))
def test_two_dials_that_cross_in_any_order_leave_one_connection(choices: list[int]) -> None:
    pair = Pair()
    for choice in choices:
        if steps := pair.steps():
            pair.step(*steps[choice % len(steps)])
    pair.settle()
    assert len(pair.connections()) == 1


def test_a_peer_that_was_added_by_its_key_is_dialled_once_its_address_is_heard() -> None:
    alice = Node("alice")
    alice.tell(k.AddKey(1, peer("bob")))
    alice.restart()
    assert alice.keeper.known == {peer("bob"): None}
    assert not [each for each in alice.findings if isinstance(each, k.Dial)]
    alice.tell(k.Heard(address("bob")))
    alice.now = 1.0
    (dial,) = alice.handle(m.TimerFired("dial"))
    assert isinstance(dial, k.Dial)
    assert dial.address == address("bob")


def test_an_address_that_a_person_gave_stays_when_the_key_alone_is_added() -> None:
    alice = Node("alice")
    alice.tell(k.AddPeer(1, address("bob")))
    assert k.Done(2) in alice.tell(k.AddKey(2, peer("bob")))
    alice.restart()
    assert alice.keeper.known == {peer("bob"): address("bob")}


def test_a_key_counts_among_the_peers_that_are_kept() -> None:
    alice = Node("alice", Limits(known_peers_max=1))
    alice.tell(k.AddKey(1, peer("bob")))
    (refused,) = alice.tell(k.AddKey(2, peer("carol")))
    assert isinstance(refused, k.Refused)
    assert alice.keeper.known == {peer("bob"): None}
