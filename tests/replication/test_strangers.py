"""Whatever peers say, in whatever order, a node keeps its promises."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qbix_node.feeds.messages import ForkFound
from qbix_node.replication.messages import (
    REFUSED,
    Block,
    EbtCall,
    EbtEnded,
    EbtNotes,
    HistoryEnded,
    Unblock,
    Unfollow,
    asks,
    make_note,
    sequence_of,
)
from qbix_node.replication.peers import Phase
from qbix_node.wire.references import FeedId
from qbix_node.wire.v8json import stringify
from tests.replication.network import Network, Node, Stranger, chain, feed_of, peer_of

PEERS = ("carol", "dave", "bob")
FEEDS = ("bob", "alice", "node")
LENGTH = 8
CHAINS = {
    (name, branch): chain(name, LENGTH, branch=branch, common=4)
    for name in FEEDS
    for branch in ("", "other")
}

WORDS = ["want", "have", "refuse", "offer", "offer", "offer", "spoil", "fork", "end", "history"]
LINKS = ["call", "dial", "cut", "wait"]
DEEDS = ["follow", "unfollow", "block", "unblock", "restart", "publish"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*WORDS, *LINKS, *DEEDS]),
        st.sampled_from(PEERS),
        st.sampled_from(FEEDS),
        st.integers(0, LENGTH),
    ),
    max_size=40,
)


class Play:
    def __init__(self, seed: int) -> None:
        self.network = Network(seed, delay_s=0.2)
        self.node = Node(self.network, "node")
        self.node.follow("bob")
        self.peers: dict[str, Stranger] = {}

    def do(self, step: str, name: str, about: str, number: int) -> None:
        if step in DEEDS:
            self.decide(step, about)
        elif step == "wait":
            self.network.settle(number)
        elif step == "cut" and name in self.peers:
            del self.peers[name]
            self.network.cut("node", name)
        elif step in LINKS and name not in self.peers:
            self.link(name, calls=step == "call")
        elif name in self.peers:
            self.say(self.peers[name], step, about, number)

    def link(self, name: str, *, calls: bool) -> None:
        peer = self.peers[name] = Stranger(self.network, name)
        self.network.link(*((peer, self.node) if calls else (self.node, peer)))
        if calls:
            peer.say(self.node, EbtCall())

    def decide(self, step: str, about: str) -> None:
        feed = feed_of(about)
        match step:
            case "follow":
                self.node.follow(about)
            case "unfollow":
                self.node.ask(Unfollow(feed))
            case "block":
                self.node.ask(Block(feed))
            case "unblock":
                self.node.ask(Unblock(feed))
            case "restart":
                self.peers.clear()
                self.node.restart()
            case _:
                self.node.publish()

    def say(self, peer: Stranger, step: str, about: str, number: int) -> None:
        feed, node, messages = feed_of(about), self.node, CHAINS[about, ""]
        match step:
            case "want" | "have":
                note = make_note(number * 10 ** (number % 3), receive=step == "want")
                peer.say(node, EbtNotes({feed: note}))
            case "refuse":
                peer.say(node, EbtNotes({feed: REFUSED}))
            case "offer":
                peer.offer(node, messages[number : number + 3])
            case "spoil":
                first = messages[0]
                peer.offer(node, [{**first, "timestamp": 7} if isinstance(first, dict) else None])
            case "fork":
                peer.offer(node, CHAINS[about, "other"][number:])
            case "end":
                peer.say(node, EbtEnded())
            case _:
                peer.say(node, HistoryEnded(feed))

    def check(self) -> None:
        for about in FEEDS:
            feed, head = feed_of(about), self.node.head(about)
            told = [peer.notes()[feed] for peer in self.peers.values() if feed in peer.notes()]
            assert all(sequence_of(note) <= head for note in told)
            talking = [
                peer.notes().get(feed, REFUSED)
                for peer in self.peers.values()
                if self.hears_of(peer, feed)
            ]
            assert len([note for note in talking if asks(note)]) <= 1
            if about != "node" and head:
                assert self.node.log(about)[: head - 1] == self.branch(about, head)[: head - 1]

    def hears_of(self, peer: Stranger, feed: FeedId) -> bool:
        """Who is blocked, has ended the conversation or refused the feed is told nothing more."""
        state = self.node.machine.talks.peers.get(peer_of(peer.name))
        return bool(state and state.phase is Phase.TALKING and state.claims(feed) != REFUSED)

    def branch(self, about: str, head: int) -> list[bytes]:
        log = self.node.log(about)
        assert len(log) == head
        either = [self.encoded(about, branch)[:head] for branch in ("", "other")]
        assert log in either
        return log

    def encoded(self, about: str, branch: str) -> list[bytes]:
        return [stringify(value).encode() for value in CHAINS[about, branch]]


@settings(max_examples=150)
@given(st.integers(0, 2**32), STEPS)
def test_node_keeps_its_promises(seed: int, steps: list[tuple[str, str, str, int]]) -> None:
    play = Play(seed)
    for step in steps:
        play.do(*step)
    play.network.settle(5)
    play.check()
    node = play.node
    assert not node.unsettled() or node.life
    assert {feed for _, feed, _ in node.sent} <= {feed_of(about) for about in FEEDS}
    for found in node.found(ForkFound):
        assert found.ours.sequence == found.theirs.sequence
        assert found.ours.id != found.theirs.id
    for blocked in node.machine.following.blocks:
        assert blocked not in node.machine.following.follows
