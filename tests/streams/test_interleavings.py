"""Whatever order things end in, and wherever the power fails: logs are what their Heads cover, what
was said stays true, and each segment is dealt with exactly once.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from qbix_node import machines as m
from qbix_node.runtime.runner import verify_checks
from qbix_node.streams.messages import (
    Appended,
    Grown,
    HeadContradicts,
    Segment,
    SegmentRefused,
)
from qbix_node.streams.records import read_contents, read_runs, read_streams, root_at
from qbix_node.streams.tree import bag
from tests.streams.desk import PETE, QUIN, Desk
from tests.streams.logs import BOB, START_MS, Log, genesis_of

LENGTH = 10
PEERS = (PETE, QUIN)
OWN = genesis_of(BOB)


@cache
def branches() -> tuple[Log, Log]:
    """Alice's log with some intents of carol, and what her twin made of it from the fourth on."""
    log = Log(genesis_of())
    while log.length < LENGTH:
        if log.length % 3:
            log.write()
        else:
            log.intend(log.length, base=log.length // 2 + 1)
    twin = log.twin(3)
    while twin.length < LENGTH:
        twin.write("other")
    return log, twin


STREAM = branches()[0].stream


@cache
def cut(branch: int, first: int, size: int, more: int) -> Segment:
    """A run of a branch, under a Head that ends with it or later."""
    log, stop = branches()[branch], min(first + size, LENGTH)
    return log.segment(first, stop, min(stop + more, LENGTH))


@dataclass
class Run:
    """A desk where each piece of slow work can end by itself, in any order."""

    desk: Desk = field(default_factory=lambda: Desk([STREAM]))
    offered: Counter[m.PeerId] = field(default_factory=Counter)
    said: dict[str, int] = field(default_factory=dict)  # how far each log was said to be here

    def __post_init__(self) -> None:
        self.desk.create(OWN)
        self.desk.settle()
        self.check()

    def offer(self, segment: Segment, peer: m.PeerId) -> None:
        self.desk.offer(segment, peer=peer)
        self.offered[peer] += 1

    def finish(self, choice: int, *, told: bool) -> None:
        """A piece of work ends; if not `told`, the power fails before the machine hears of it."""
        desk = self.desk
        under_way = [*desk.questions, *desk.checks, *desk.writes]
        if not under_way:
            return
        match under_way[choice % len(under_way)]:
            case m.Ask() as asked:
                desk.questions.remove(asked)
                desk.tell(m.Answered(asked.token, asked.question.answer(desk.disk)))
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
        desk = self.desk
        for stream in read_streams(desk.disk):
            state, leaves = desk.stored(stream), desk.leaves(stream)
            assert len(leaves) == state.length
            assert root_at(desk.disk, stream, state.length) == bag(state.peaks)
            for run in read_runs(desk.disk, stream, 0, state.length):
                assert len(read_contents(desk.disk, stream, run)) == len(run.leaves)
        leaves = desk.leaves(STREAM)
        assert leaves in [log.leaves[: len(leaves)] for log in branches()]
        for finding in desk.found:
            match finding:
                case Grown(stream, first, stop, _):
                    assert first <= stop <= len(desk.leaves(stream))
                    self.said[stream.hex()] = max(stop, self.said.get(stream.hex(), 0))
                case Appended(_, stream, first, stop):
                    assert first < stop <= self.said[stream.hex()]
                case _:
                    pass
        desk.found.clear()
        for stream in read_streams(desk.disk):
            assert len(desk.leaves(stream)) >= self.said.get(stream.hex(), 0)
        waiting = sum(self.offered.values()) - sum(desk.settled.values())
        assert desk.book.waiting == waiting


STEPS = st.tuples(
    st.sampled_from(
        ["alice", "alice", "twin", "forge", "content", "append", "crash", "untold", "drop"]
        + ["end"] * 8  # so that work keeps up with what comes in
    ),
    st.integers(0, LENGTH - 1),
    st.integers(1, LENGTH),
    st.integers(0, 4),
    st.sampled_from(PEERS),
)
Step = tuple[str, int, int, int, m.PeerId]


def take(run: Run, step: Step) -> None:
    kind, first, size, more, peer = step
    segment = cut(0, first, size, more)
    match kind:
        case "alice":
            run.offer(segment, peer)
        case "twin":
            run.offer(cut(1, first, size, more), peer)
        case "forge":
            forged = segment.signed_head._replace(signatures=((0, b"s" * 64),))
            run.offer(replace(segment, signed_head=forged), peer)
        case "content" if first:
            run.offer(replace(segment, contents=(b"other",) * len(segment.leaves)), peer)
        case "append":
            run.desk.append(OWN.stream, *[b"wish"] * size, stamp_ms=START_MS + more)
        case "drop":
            run.desk.book.drop(STREAM)
            run.desk.book.accept(STREAM)
        case "crash":
            run.crash()
        case "untold":
            run.finish(first, told=False)
        case _:
            run.finish(first, told=True)


@given(st.lists(STEPS, max_size=50))
def test_logs_are_what_their_heads_cover_and_nothing_that_was_said_is_lost(
    steps: list[Step],
) -> None:
    run = Run()
    for step in steps:
        take(run, step)
        run.check()
    run.desk.settle()
    run.check()
    assert run.desk.settled == run.offered  # each is dealt with exactly once
    for branch in (0, 1):  # and whoever is asked again can help
        run.offer(cut(branch, 0, LENGTH, 0), QUIN)
        run.desk.settle()
    run.check()
    assert run.desk.leaves(STREAM) in [log.leaves for log in branches()]
    assert run.desk.settled == run.offered
    assert run.desk.book.waiting == 0


PARTS = st.tuples(st.integers(0, LENGTH - 1), st.integers(1, LENGTH), st.sampled_from(PEERS))


@given(st.lists(PARTS, max_size=8), st.lists(st.integers(0, 3), max_size=30))
def test_honest_runs_in_any_order_end_where_one_after_the_other_would(
    parts: list[tuple[int, int, m.PeerId]], ends: list[int]
) -> None:
    run, length, skipped = Run(), 0, 0
    for number, (first, size, peer) in enumerate(parts):
        segment = cut(0, first, size, 0)
        run.offer(segment, peer)
        skipped += first > length and segment.stop >= length
        length = segment.stop if first <= length < segment.stop else length
        for choice in ends[number * 3 : number * 3 + 3]:
            run.finish(choice, told=True)
    run.desk.settle()
    assert run.desk.leaves(STREAM) == branches()[0].leaves[:length]
    assert run.desk.skipped == skipped
    assert run.desk.settled == run.offered
    assert run.desk.findings(SegmentRefused) == []
    assert run.desk.findings(HeadContradicts) == []
