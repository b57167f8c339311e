"""Whatever order things end in, and wherever the power fails: the log is a valid chain, and what
was acknowledged stays in it.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.feeds.messages import Appended, ClassicMessage, Published, Refusal
from qbix_node.feeds.records import read_evidence, read_heads
from qbix_node.feeds.validation import check_next
from qbix_node.runtime.runner import verify_checks
from qbix_node.store.memory import MemoryStore
from tests.feeds.authors import Author, value_of
from tests.feeds.desk import NODE, PETE, QUIN, Desk

LENGTH = 8
PEERS = (PETE, QUIN)


@cache
def honest() -> tuple[Author, list[ClassicMessage]]:
    bob = Author("bob")
    return bob, bob.write_many(LENGTH)


@cache
def forked() -> tuple[Author, list[ClassicMessage], list[ClassicMessage]]:
    """A feed with two branches, which part after the third message."""
    alice = Author("alice")
    common = alice.write_many(3)
    twin = alice.twin()
    other = [twin.write({"type": "post", "text": f"other {number}"}) for number in range(3, LENGTH)]
    return alice, [*common, *alice.write_many(LENGTH - 3)], [*common, *other]


@dataclass
class Run:
    """A desk where each piece of slow work can end by itself, in any order."""

    desk: Desk = field(default_factory=lambda: Desk([honest()[0].feed, forked()[0].feed]))
    acknowledged: dict[str, ClassicMessage] = field(default_factory=dict)
    offered: Counter[m.PeerId] = field(default_factory=Counter)

    def offer(self, log: list[ClassicMessage], first: int, size: int, peer: m.PeerId) -> None:
        part = log[first : first + size]
        self.desk.offer(*(part if size % 2 else part[::-1]), peer=peer)
        self.offered[peer] += len(part)

    def forge(self, log: list[ClassicMessage], place: int, peer: m.PeerId) -> None:
        self.desk.offer(value_of(log[place % LENGTH], timestamp=1), *log[place:], peer=peer)
        self.offered[peer] += 1 + len(log[place:])

    def finish(self, choice: int, *, told: bool) -> None:
        """A piece of work ends; if not `told`, the power fails before the machine hears of it."""
        desk = self.desk
        under_way = [*desk.loads, *desk.checks, *desk.writes]
        if not under_way:
            return
        match under_way[choice % len(under_way)]:
            case m.Load() as load:
                desk.loads.remove(load)
                desk.tell(m.Loaded(load.token, tuple([desk.disk.get(key) for key in load.keys])))
            case m.Verify() as check:
                desk.checks.remove(check)
                desk.tell(m.Verified(check.token, verify_checks(check.checks)))
            case m.Persist() as write:
                desk.writes.remove(write)
                desk.disk.append(write.writes)
                desk.disk.sync()
                if told:
                    desk.tell(m.Persisted(write.token))
                else:
                    self.crash()
            case _:
                raise AssertionError

    def crash(self) -> None:
        self.desk.restart()
        self.offered.clear()
        self.desk.settled.clear()

    def check(self) -> None:
        heads = read_heads(MemoryStore(self.desk.disk))
        for feed in (honest()[0].feed, forked()[0].feed, NODE.feed):
            head = None
            for message in self.desk.log(feed):
                assert check_next(head, message) is None
                head = message.head
            assert heads.get(feed) == head
        bob, alice, own = (
            self.desk.log(feed) for feed in (honest()[0].feed, forked()[0].feed, NODE.feed)
        )
        assert bob == honest()[1][: len(bob)]
        assert alice in (forked()[1][: len(alice)], forked()[2][: len(alice)])
        for finding in self.desk.found:
            match finding:
                case Appended(feed, first, last, _):
                    log = {message.sequence: message for message in self.desk.log(feed)}
                    for sequence in range(first, last + 1):
                        self.acknowledged[log[sequence].encoded] = log[sequence]
                case Published(_, message):
                    self.acknowledged[message.encoded] = message
                case _:
                    pass
        self.desk.found.clear()
        durable = {message.encoded for message in (*bob, *alice, *own)}
        assert self.acknowledged.keys() <= durable


STEPS = st.tuples(
    st.sampled_from(
        ["bob", "alice", "alice's twin", "forge", "publish", "crash", "untold", "drop"]
        + ["end"] * 8  # so that work keeps up with what comes in
    ),
    st.integers(0, LENGTH),
    st.integers(1, LENGTH),
    st.sampled_from(PEERS),
)


def take(run: Run, step: tuple[str, int, int, m.PeerId]) -> None:
    kind, first, size, peer = step
    match kind:
        case "bob":
            run.offer(honest()[1], first, size, peer)
        case "alice":
            run.offer(forked()[1], first, size, peer)
        case "alice's twin":
            run.offer(forked()[2], first, size, peer)
        case "forge":
            run.forge(honest()[1], first, peer)
        case "publish":
            run.desk.publish()
        case "drop":
            run.desk.take(run.desk.book.drop(honest()[0].feed))
            run.desk.book.accept(honest()[0].feed)
        case "crash":
            run.crash()
        case "untold":
            run.finish(first, told=False)
        case _:
            run.finish(first, told=True)


@given(st.lists(STEPS, max_size=60))
def test_logs_are_chains_and_nothing_acknowledged_is_lost(
    steps: list[tuple[str, int, int, m.PeerId]],
) -> None:
    run = Run()
    for step in steps:
        take(run, step)
        run.check()
    run.desk.settle()
    run.check()
    assert run.desk.settled == run.offered  # each message is dealt with exactly once
    for log in (honest()[1], forked()[1], forked()[2]):  # and whoever is asked again can help
        run.offer(log, 0, LENGTH + 1, QUIN)
        run.desk.settle()
    run.check()
    assert run.desk.log(honest()[0].feed) == honest()[1]
    assert read_evidence(MemoryStore(run.desk.disk), forked()[0].feed) is not None
    assert run.desk.settled == run.offered
    assert run.desk.book.waiting == 0


@given(st.permutations(range(LENGTH)), st.lists(st.integers(1, 3), max_size=LENGTH))
def test_any_order_of_arrival_ends_in_the_same_log(order: list[int], sizes: list[int]) -> None:
    bob, written = honest()
    desk = Desk([bob.feed])
    shuffled = [written[place] for place in order]
    for size in sizes:
        desk.offer(*shuffled[:size])
        del shuffled[:size]
        desk.verify()
    desk.offer(*shuffled)
    desk.settle()
    assert desk.log(bob.feed) == written
    assert desk.checks_made == LENGTH
    assert not desk.findings(Refusal)
