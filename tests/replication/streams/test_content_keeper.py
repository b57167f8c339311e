"""Whom a ContentKeeper asks for what, and when; carried out by hand."""

import math
import random
from dataclasses import dataclass, field

import pytest

from qbix_node import machines as m
from qbix_node.replication.streams.contents import machine
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.contents.machine import (
    CHANGES_MAX,
    QUESTIONS_MAX,
    TIMER,
    ContentKeeper,
)
from qbix_node.replication.streams.contents.search import REST_MAX_S, REST_S
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.messages import ENTRIES_MAX
from qbix_node.streams.records import LogState, Run, put_run
from qbix_node.streams.serving import read_entries
from qbix_node.streams.shelf import AskFor, Drop, Fill
from qbix_node.wire.references import StreamId
from tests.streams.logs import Log, genesis_of

ENTRIES = 5


def peer_named(name: str) -> m.PeerId:
    return m.PeerId(name.encode().ljust(32, b"."))


PETE, QUIN = peer_named("pete"), peer_named("quin")


@dataclass
class Bench:
    """A keeper whose disk is at hand; answers of the store come when `settle` is called."""

    logs: dict[StreamId, Log] = field(default_factory=dict)
    holders: dict[m.PeerId, int] = field(default_factory=dict)
    whole: bool = True
    now: float = 0.0
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    asked: list[tuple[m.PeerId, c.WantContents]] = field(default_factory=list)
    found: list[object] = field(default_factory=list)
    alarm: float = math.inf
    slow: list[m.Ask | m.Persist] = field(default_factory=list)

    def __post_init__(self) -> None:
        states: dict[StreamId, LogState] = {}
        self.states = states
        self.keeper = ContentKeeper(
            m.Tokens(),
            states,
            holders=lambda stream: dict(self.holders),
            replicates=lambda stream: stream in self.logs,
            whole=lambda stream: self.whole,
        )

    def add(self, number: int = 0, entries: int = ENTRIES) -> StreamId:
        """A log that came without contents."""
        log = Log(genesis_of(salt=bytes([number >> 8, number & 255]) * 8)).write_many(entries)
        for first in range(0, log.length, ENTRIES_MAX):
            run = Run(first, tuple(log.leaves[first : first + ENTRIES_MAX]), None)
            self.disk.append(put_run(log.stream, run, [None] * len(run.leaves)))
        self.disk.sync()
        self.logs[log.stream] = log
        self.states[log.stream] = LogState(
            log.length, (), log.head(log.length), (), log.genesis.owners
        )
        return log.stream

    # ---- what comes in ----

    def lacks(self, stream: StreamId) -> None:
        self.carry_out(self.keeper.lacks(stream, self.now))
        self.settle()

    def tell(self, event: m.Event) -> None:
        self.carry_out(self.keeper.handle(event, self.now))
        self.settle()

    def answer(self, peer: m.PeerId, *, gives: bool = True) -> None:
        """The last question to that peer."""
        question = [question for asked, question in self.asked if asked == peer][-1]
        log = self.logs[question.stream]
        contents = tuple([log.contents[place] if gives else None for place in question.places])
        self.tell(m.Received(peer, c.Contents(contents)))

    def change(self, edit: Drop | AskFor | Fill, number: int = 1) -> None:
        self.carry_out(self.keeper.handle(m.Requested(c.Change(number, edit)), self.now))

    def at(self, now: float) -> None:
        """The time has come, and with it perhaps the alarm."""
        self.now = now
        if now >= self.alarm:
            self.alarm = math.inf
            self.tell(m.TimerFired(TIMER))

    # ---- what is to be done ----

    def carry_out(self, effects: list[m.Effect]) -> None:
        for effect in effects:
            match effect:
                case m.Ask() | m.Persist():
                    self.slow.append(effect)
                case m.Send(peer, c.WantContents() as question):
                    self.asked.append((peer, question))
                case m.Emit(finding):
                    self.found.append(finding)
                case m.SetTimer(name, at):
                    assert name == TIMER
                    self.alarm = at
                case other:
                    raise AssertionError(other)

    def settle(self) -> None:
        while self.slow:
            self.step()

    def step(self) -> None:
        match self.slow.pop(0):
            case m.Ask(token, question):
                event: m.Event = m.Answered(token, question.answer(self.disk))
            case m.Persist(token, writes):
                self.disk.append(writes)
                self.disk.sync()
                event = m.Persisted(token)
        self.carry_out(self.keeper.handle(event, self.now))

    # ---- what came of it ----

    def contents(self, stream: StreamId) -> list[int]:
        entries = read_entries(self.disk, stream, 0, 10_000)
        return [entry.place for entry in entries if entry.content is not None]

    @property
    def whom(self) -> list[m.PeerId]:
        return [peer for peer, _ in self.asked]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_missing_is_fetched_from_who_has_it(bench: Bench) -> None:
    stream = bench.add()
    bench.lacks(stream)
    assert bench.asked == []
    bench.holders[PETE] = ENTRIES + 1
    bench.lacks(stream)
    assert bench.asked == [(PETE, c.WantContents(stream, (5, 4, 3, 2, 1)))]
    bench.answer(PETE)
    assert bench.contents(stream) == [1, 2, 3, 4, 5]
    assert bench.found == [c.Filled(stream, PETE, 5)]
    bench.at(10_000)
    assert (len(bench.asked), bench.alarm) == (1, math.inf)


def test_who_gave_something_is_asked_before_others(bench: Bench) -> None:
    stream = bench.add(entries=600)
    bench.holders |= {PETE: 601, QUIN: 601}
    bench.lacks(stream)
    bench.answer(PETE, gives=False)
    while len(bench.contents(stream)) < 600:
        bench.answer(QUIN)
    assert bench.whom == [PETE, QUIN, QUIN, QUIN]


def test_who_does_not_answer_is_not_asked_for_the_next_ones_at_once(bench: Bench) -> None:
    stream = bench.add(entries=600)
    bench.holders[PETE] = 601
    bench.lacks(stream)
    bench.tell(m.Received(PETE, c.NoContents()))
    bench.at(REST_S - 1)
    assert len(bench.asked) == 1
    bench.at(REST_S)
    assert len(bench.asked) == 2
    bench.tell(m.Received(PETE, c.NoContents(never=True)))
    bench.at(1e6)
    assert len(bench.asked) == 2


def test_of_what_a_peer_does_not_claim_it_is_not_asked(bench: Bench) -> None:
    stream = bench.add()
    bench.holders[PETE] = 4
    bench.lacks(stream)
    assert bench.asked == [(PETE, c.WantContents(stream, (3, 2, 1)))]


def test_who_withholds_is_passed_by_and_rests_longer_each_time(bench: Bench) -> None:
    stream = bench.add()
    bench.holders |= {PETE: 6, QUIN: 6}
    bench.lacks(stream)
    bench.answer(PETE, gives=False)
    assert bench.whom == [PETE, QUIN]
    bench.answer(QUIN, gives=False)
    del bench.holders[QUIN]
    rests, asked_at = list[float](), 0.0
    for _ in range(9):
        bench.at(bench.alarm - 0.01)
        count = len(bench.asked)
        bench.at(bench.alarm)
        if len(bench.asked) > count:
            rests.append(bench.now - asked_at)
            asked_at = bench.now
            bench.answer(PETE, gives=False)
    assert rests == [min(REST_S * 2**n, REST_MAX_S) for n in range(len(rests))]
    assert rests[-1] == REST_MAX_S


def test_what_has_come_since_is_asked_for_while_a_peer_rests(bench: Bench) -> None:
    stream = bench.add()
    bench.holders[PETE] = 6
    bench.lacks(stream)
    bench.answer(PETE, gives=False)
    log = bench.logs[stream]
    for _ in range(2):
        log.write()
    run = Run(6, tuple(log.leaves[6:]), None)
    bench.disk.append(put_run(stream, run, [None, None]))
    bench.disk.sync()
    bench.states[stream] = LogState(8, (), log.head(8), (), log.genesis.owners)
    bench.holders[PETE] = 8
    bench.lacks(stream)
    assert bench.asked[1:] == [(PETE, c.WantContents(stream, (7, 6)))]
    bench.answer(PETE)
    assert bench.contents(stream) == [6, 7]


def test_one_question_to_a_peer_and_eight_in_all(bench: Bench) -> None:
    streams = [bench.add(number) for number in range(QUESTIONS_MAX + 3)]
    peers = [peer_named(f"peer {number}") for number in range(QUESTIONS_MAX + 2)]
    bench.holders |= dict.fromkeys(peers, ENTRIES + 1)
    for stream in streams:
        bench.lacks(stream)
    assert len(bench.asked) == len({*bench.whom}) == QUESTIONS_MAX
    for number in range(len(streams)):
        bench.answer(bench.whom[number])
    assert all(bench.contents(stream) == [1, 2, 3, 4, 5] for stream in streams)
    assert len(bench.asked) == len(streams)


def test_streams_that_wait_for_one_peer_take_turns_a_few_at_a_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "TURNS_MAX", 2)
    streams = [bench.add(number) for number in range(20)]
    bench.holders[PETE] = ENTRIES + 1
    for stream in streams:
        bench.lacks(stream)
    for _ in streams:
        bench.answer(PETE)
    assert len(bench.asked) == len({question.stream for _, question in bench.asked}) == 20
    assert all(bench.contents(stream) for stream in streams)


def test_a_peer_that_leaves_is_followed_by_another(bench: Bench) -> None:
    stream = bench.add()
    bench.holders |= {PETE: 6, QUIN: 6}
    bench.lacks(stream)
    del bench.holders[PETE]
    bench.tell(m.Disconnected(PETE))
    assert bench.whom == [PETE, QUIN]
    bench.answer(QUIN)
    bench.answer(PETE)  # late, of the connection that is gone
    assert bench.found == [c.Filled(stream, QUIN, 5)]


def test_a_liar_is_not_asked_before_it_comes_again(bench: Bench) -> None:
    stream = bench.add()
    bench.holders[PETE] = 6
    bench.lacks(stream)
    bench.tell(m.Received(PETE, c.Contents((b"lie", None, None, None, None))))
    assert bench.found == [c.ContentsRefused(PETE, stream, "entry 5: this is not its content")]
    bench.at(10 * REST_MAX_S)
    bench.lacks(stream)
    assert len(bench.asked) == 1
    bench.tell(m.Disconnected(PETE))
    bench.lacks(stream)
    assert len(bench.asked) == 2


def test_unfollowed_meanwhile_nothing_is_kept_and_nobody_asked(bench: Bench) -> None:
    stream = bench.add()
    bench.holders[PETE] = 6
    bench.lacks(stream)
    log = bench.logs.pop(stream)
    bench.keeper.end(stream)
    bench.tell(m.Received(PETE, c.Contents(tuple(log.contents[5:0:-1]))))
    assert (bench.contents(stream), bench.found) == ([], [])
    bench.logs[stream] = log
    bench.lacks(stream)
    assert len(bench.asked) == 2


def test_without_contents_only_what_was_asked_for_is_fetched(bench: Bench) -> None:
    bench.whole = False
    stream = bench.add()
    bench.holders[PETE] = 6
    bench.lacks(stream)
    assert bench.asked == []
    bench.change(AskFor(stream, 2, 4), 7)
    bench.settle()
    assert bench.found == [c.Changed(7, 2, 0)]
    assert bench.asked == [(PETE, c.WantContents(stream, (3, 2)))]


def test_to_ask_again_and_again_is_to_ask_once_a_minute(bench: Bench) -> None:
    stream = bench.add()
    bench.holders[PETE] = 6
    bench.lacks(stream)
    bench.answer(PETE, gives=False)
    for second in range(1, 180):
        bench.at(second)
        bench.change(AskFor(stream, 1, 6))
        bench.settle()
        if len(bench.asked) > len(bench.found):
            bench.answer(PETE, gives=False)
    assert 3 <= len(bench.asked) <= 5


def test_changes_come_one_after_the_other_and_so_many_wait(bench: Bench) -> None:
    stream = bench.add()
    contents = bench.logs[stream].contents
    for place in range(1, 6):
        bench.change(Fill(stream, {place: contents[place] or b""}), place)
    assert len(bench.slow) == 1  # the others rest on what it leaves
    for number in range(6, CHANGES_MAX + 1):
        bench.change(Drop(stream, 1, 3), number)
    bench.change(Drop(stream, 3, 6), 99)
    assert bench.found == [c.ChangeRefused(99, "too much is being done about its contents already")]
    bench.settle()
    done = [each.number for each in bench.found if isinstance(each, c.Changed)]
    assert done == [*range(1, CHANGES_MAX + 1)]
    assert bench.contents(stream) == [3, 4, 5]


def test_what_was_dropped_while_it_was_under_way_stays_dropped(bench: Bench) -> None:
    stream = bench.add()
    bench.holders[PETE] = 6
    bench.lacks(stream)
    bench.change(Drop(stream, 1, 6))
    bench.answer(PETE)
    assert bench.contents(stream) == []


def test_equal_events_give_equal_effects() -> None:
    def told() -> list[object]:
        bench, rng = Bench(), random.Random(3)
        peers = [peer_named(f"peer {number}") for number in range(5)]
        streams = [bench.add(number) for number in range(6)]
        bench.holders |= dict.fromkeys(peers, 6)
        for step in range(200):
            bench.at(10.0 * step)
            match rng.randrange(4):
                case 0:
                    bench.lacks(rng.choice(streams))
                case 1:
                    bench.change(Drop(rng.choice(streams), 1, 4), step)
                case 2 if bench.asked:
                    bench.answer(rng.choice(bench.whom), gives=rng.random() < 0.5)
                case _:
                    bench.tell(m.Disconnected(rng.choice(peers)))
        return [bench.asked, bench.found]

    assert told() == told()


def test_what_is_asked_of_a_log_that_is_dropped_is_not_kept(bench: Bench) -> None:
    """It is of the branch that its owners gave up."""
    stream = bench.add()
    bench.holders[PETE] = ENTRIES + 1
    bench.lacks(stream)
    bench.keeper.forget(stream)
    bench.answer(PETE)
    assert bench.contents(stream) == []
    assert bench.found == []
    bench.lacks(stream)
    bench.answer(PETE)
    assert bench.contents(stream) == [1, 2, 3, 4, 5], "it is not blamed for what it said before"


def test_a_log_that_is_dropped_takes_nothing_meanwhile(bench: Bench) -> None:
    stream = bench.add()
    bench.change(Fill(stream, {1: bench.logs[stream].contents[1] or b""}))
    del bench.states[stream]
    bench.settle()
    assert bench.contents(stream) == []
    assert bench.found == [c.Changed(1, 0, 0, None)]
