"""When own streams are trusted to be here whole (spec/streams.md 10, rules 2 and 3)."""

import random
from dataclasses import dataclass, field, replace

import pytest

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.own import (
    AGAIN_S,
    CHECKS_MAX,
    GIVEN_UP_S,
    QUESTIONS_MAX,
    OwnStreams,
)
from qbix_node.runtime import verify_checks
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.authoring import make_genesis, make_genesis_segment, sign_head
from qbix_node.streams.caution import (
    PATIENCE_S,
    Caution,
    Doubt,
    Doubted,
    ShownAhead,
    Trusted,
    caution_at_start,
    read_doubts,
)
from qbix_node.streams.forks import ShownHead
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Head, Segment
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash, Prefix, leaf_hash
from qbix_node.wire.references import StreamId
from tests.gossip.desk import Desk
from tests.gossip.gossips import Author
from tests.replication.network import keys_of
from tests.streams.branches import owned_by
from tests.streams.logs import listed_frontier

BOB, CAROL, DAVE = [m.PeerId(name.ljust(32, b".")) for name in (b"bob", b"carol", b"dave")]
ALICE = Author("alice")
STREAM = ALICE.stream
LOG = ALICE.write(["one", "two"], ["three"], ["four", "five"])
TWO, THREE, FIVE = [ShownHead(segment.signed_head) for segment in LOG[1:]]


@dataclass
class Guard:
    """Alice's, whose slow work is done at once, unless checks are held."""

    clean: bool = True
    alone: bool = False
    segments: list[Segment] = field(default_factory=lambda: LOG[:2])
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.shelf = Desk()
        if self.segments:
            self.shelf.take(ALICE.genesis, self.segments)
        self.said: list[tuple[m.PeerId, g.Message]] = []
        self.found: list[object] = []
        self.timers: dict[str, float] = {}
        self.checked = 0
        self.held: list[m.Verified] | None = None
        self.start()

    def start(self) -> None:
        logs = self.shelf.logs
        own = [self.shelf.geneses[stream] for stream in logs]
        self.caution = caution_at_start(self.disk, own, clean=self.clean)
        key = AuthorId(ALICE.keys.public)
        self.own = OwnStreams(self.shelf.geneses, logs, key, self.caution)
        self.do(m.Requested(g.Started(self.alone)))

    def restart(self, *, clean: bool) -> None:
        self.clean = clean
        self.found.clear()
        self.timers.clear()
        self.start()

    def take(self, *segments: Segment) -> None:
        self.shelf.take(ALICE.genesis, segments)

    def do(self, event: m.Event) -> None:
        waiting = [event]
        while waiting:
            for effect in self.own.handle(waiting.pop(0), self.now, random.Random(1)):
                match effect:
                    case m.Send(to, message):
                        assert isinstance(message, g.Message)
                        assert g.read_message(g.encode(message)) == message
                        self.said.append((to, message))
                    case m.Emit(finding):
                        self.found.append(finding)
                        assert isinstance(finding, Doubted | Trusted | ShownAhead)
                        self.caution.heed(finding)
                    case m.Verify(token, checks):
                        self.checked += len(checks)
                        verified = m.Verified(token, verify_checks(checks))
                        (waiting if self.held is None else self.held).append(verified)
                    case m.Persist(_, writes):
                        self.disk.append(writes)
                        self.disk.sync()
                    case m.SetTimer(name, at):
                        self.timers[name] = at
                    case other:
                        raise AssertionError(other)

    def later(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [(at, name) for name, at in self.timers.items() if at <= until]:
            self.now, name = min(due)
            del self.timers[name]
            self.do(m.TimerFired(name))
        self.now = until

    def meet(self, *peers: m.PeerId, holds: bool = True) -> None:
        """`holds`: they announce all streams that are here."""
        for peer in peers:
            self.do(m.Connected(peer, outgoing=True))
            streams = tuple(self.shelf.logs) if holds else ()
            self.do(m.Requested(g.Announced(peer, streams, ())))

    def hear(self, peer: m.PeerId, message: g.Message) -> None:
        self.do(m.Received(peer, message))

    def questions(self, *peers: m.PeerId) -> list[g.Compare]:
        asked = [
            message
            for to, message in self.said
            if isinstance(message, g.Compare) and to in (peers or (to,))
        ]
        self.said.clear()
        return asked

    def answer(self, peer: m.PeerId, head: ShownHead = TWO) -> None:
        """That the peer's log continues ours, up to this Head."""
        for question in self.questions(peer):
            self.hear(peer, g.Continues(question.number, head, ()))

    @property
    def waits(self) -> str | None:
        return self.caution.why_wait(STREAM, self.shelf.logs[STREAM])

    @property
    def kept(self) -> dict[StreamId, int]:
        return read_doubts(self.disk)


def long_head(author: Author) -> ShownHead:
    head = Head(author.stream, 1000, Hash(bytes(32)), 0)
    return ShownHead(sign_head(head, (0, author.keys)))


def crashed() -> Guard:
    return Guard(clean=False)


# ---- after a clean stop ----


def test_who_knows_nobody_goes_on_at_once() -> None:
    assert Guard(alone=True).waits is None


def test_who_knows_somebody_waits_but_no_longer_than_ten_seconds() -> None:
    guard = Guard()
    assert guard.waits == Doubt.STARTED
    guard.later(PATIENCE_S - 0.1)
    assert guard.waits == Doubt.STARTED
    guard.later(0.2)
    assert guard.waits is None


def test_the_answer_of_the_only_peer_is_enough() -> None:
    guard = Guard()
    guard.meet(BOB)
    (question,) = guard.questions()
    assert (question.shown, question.prefix) == (TWO, guard.shelf.logs[STREAM].prefix)
    guard.hear(BOB, g.Continues(question.number, TWO, ()))
    assert guard.waits is None
    assert guard.found == [Trusted(STREAM)]


def test_of_three_peers_two_have_to_answer() -> None:
    guard = Guard()
    guard.meet(BOB, CAROL, DAVE)
    bob, carol, _ = guard.questions()
    guard.hear(BOB, g.Continues(bob.number, TWO, ()))
    assert guard.waits == Doubt.STARTED
    first = LOG[0].signed_head
    guard.hear(CAROL, g.Shorter(carol.number, ShownHead(first), Prefix(1, (first.head.root,), ())))
    assert guard.waits is None


def test_who_has_left_is_not_waited_for() -> None:
    guard = Guard()
    guard.meet(BOB, CAROL)
    bob, _ = guard.questions()
    guard.hear(BOB, g.Continues(bob.number, TWO, ()))
    assert guard.waits == Doubt.STARTED
    guard.do(m.Disconnected(CAROL))
    assert guard.waits is None


def test_who_may_not_read_a_stream_is_neither_asked_nor_waited_for() -> None:
    author = Author("alice", readers=[BOB])
    guard = Guard(segments=[])
    guard.shelf.take(author.genesis, author.beginning)
    guard.start()
    guard.meet(CAROL, DAVE)
    assert guard.questions() == []
    guard.meet(BOB)
    (question,) = guard.questions(BOB)
    guard.hear(BOB, g.Continues(question.number, question.shown, ()))
    assert guard.found == [Trusted(author.stream)]


def test_a_clean_doubt_leaves_nothing_in_the_store() -> None:
    guard = Guard()
    assert guard.kept == {}


# ---- after any other stop ----


def test_after_a_crash_time_ends_nothing() -> None:
    guard = crashed()
    guard.meet(BOB)
    guard.later(100 * PATIENCE_S)
    assert guard.waits == Doubt.CUT_OFF


def test_after_a_crash_nobody_is_too_lonely_to_wait() -> None:
    guard = Guard(clean=False, alone=True)
    guard.later(100 * PATIENCE_S)
    assert guard.waits == Doubt.CUT_OFF


def test_after_a_crash_one_answer_is_enough() -> None:
    guard = crashed()
    guard.meet(BOB, CAROL, DAVE)
    guard.answer(BOB)
    assert guard.waits is None
    assert guard.kept == {}


def test_who_does_not_hold_the_stream_is_neither_asked_nor_waited_for() -> None:
    for guard in (crashed(), Guard()):
        guard.meet(CAROL, DAVE, holds=False)
        guard.later(3 * AGAIN_S)
        assert guard.questions() == []
        guard.meet(BOB)
        guard.answer(BOB)
        assert guard.waits is None


def test_who_holds_it_no_longer_is_not_waited_for() -> None:
    guard = Guard()
    guard.meet(BOB, CAROL)
    guard.do(m.Requested(g.Announced(CAROL, (), (STREAM,))))
    guard.answer(BOB)
    assert guard.waits is None


@pytest.mark.parametrize("clean", [True, False])
def test_unknown_is_no_answer_and_is_asked_again(*, clean: bool) -> None:
    """It may come from a peer that has not heard yet that both hold the stream."""
    guard = Guard(clean=clean)
    guard.meet(BOB)
    (question,) = guard.questions()
    guard.hear(BOB, g.Unknown(question.number))
    assert guard.waits is not None
    assert guard.questions() == []
    guard.later(AGAIN_S)
    guard.answer(BOB)
    assert guard.waits is None


def test_of_a_stream_whose_forks_nobody_looks_for_nobody_is_asked() -> None:
    author = Author("alice", uniqueness=Uniqueness.NONE)
    guard = Guard(segments=[], clean=False)
    guard.shelf.take(author.genesis, author.beginning)
    guard.start()
    guard.meet(BOB)
    assert (guard.questions(), guard.kept) == ([], {})
    assert guard.caution.doubts == {author.stream: Doubt.STARTED}
    guard.later(PATIENCE_S)
    assert guard.found == [Trusted(author.stream)]


def test_a_question_without_an_answer_is_asked_again() -> None:
    guard = crashed()
    guard.meet(BOB)
    (lost,) = guard.questions()
    guard.later(GIVEN_UP_S + AGAIN_S)
    (question,) = guard.questions()
    guard.hear(BOB, g.Continues(lost.number, TWO, ()))
    assert guard.waits == Doubt.CUT_OFF
    guard.hear(BOB, g.Continues(question.number, TWO, ()))
    assert guard.waits is None


def test_a_clean_stop_does_not_end_such_a_doubt() -> None:
    guard = crashed()
    guard.restart(clean=True)
    guard.later(2 * PATIENCE_S)
    assert guard.waits == Doubt.CUT_OFF
    guard.meet(BOB)
    guard.answer(BOB)
    guard.restart(clean=True)
    assert guard.waits == Doubt.STARTED


def test_the_person_who_runs_the_node_may_end_it() -> None:
    guard = crashed()
    guard.do(m.Requested(g.DoubtEnded(STREAM)))
    assert guard.waits is None
    assert guard.kept == {}


def test_an_own_stream_that_comes_from_others_is_in_doubt_until_one_answers() -> None:
    guard = Guard(segments=[])
    guard.meet(BOB)
    guard.take(LOG[0])
    guard.do(m.Requested(g.Came(STREAM)))
    guard.do(m.Requested(g.Announced(BOB, (STREAM,), ())))
    assert guard.waits == Doubt.CAME
    assert guard.kept == {STREAM: 0}
    guard.later(2 * PATIENCE_S)
    assert guard.waits == Doubt.CAME
    guard.answer(BOB, ShownHead(LOG[0].signed_head))
    assert guard.waits is None


def test_streams_of_others_are_not_doubted() -> None:
    guard = Guard(segments=[])
    mallory = Author("mallory")
    guard.shelf.take(mallory.genesis, mallory.beginning)
    guard.do(m.Requested(g.Came(mallory.stream)))
    guard.meet(BOB)
    assert (guard.found, guard.questions(), guard.kept) == ([], [], {})


# ---- Heads of our own beyond the log ----


def test_a_longer_head_holds_the_stream_until_its_entries_are_here() -> None:
    guard = crashed()
    guard.meet(BOB)
    guard.answer(BOB, FIVE)
    assert guard.found == [ShownAhead(STREAM, 6), Trusted(STREAM)]
    assert guard.waits is not None
    assert "a Head of length 6" in guard.waits
    assert guard.kept == {STREAM: 6}
    guard.take(LOG[2])
    assert guard.waits is not None
    guard.take(LOG[3])
    assert guard.waits is None
    guard.later(AGAIN_S)
    assert guard.kept == {}


def test_a_longer_head_is_not_forgotten_by_a_restart() -> None:
    guard = Guard()
    guard.meet(BOB)
    guard.answer(BOB, FIVE)
    guard.restart(clean=True)
    guard.later(2 * PATIENCE_S)
    assert guard.waits is not None
    assert "a Head of length 6" in guard.waits


def test_a_head_that_is_told_holds_a_trusted_stream_too() -> None:
    guard = Guard(alone=True)
    guard.meet(BOB)
    guard.hear(BOB, g.Heads((THREE,)))
    assert guard.found == [Trusted(STREAM), ShownAhead(STREAM, 4)]
    guard.take(LOG[2])
    assert guard.waits is None


def test_a_head_that_is_asked_about_holds_it_too() -> None:
    guard = Guard(alone=True)
    guard.meet(BOB)
    guard.hear(BOB, g.Compare(1, FIVE, Prefix(6, (), ())))
    assert ShownAhead(STREAM, 6) in guard.found


def test_a_head_whose_entries_come_while_it_is_checked_holds_nothing() -> None:
    guard = Guard(alone=True)
    guard.held = []
    guard.meet(BOB)
    guard.hear(BOB, g.Heads((THREE,)))
    guard.take(LOG[2])
    guard.do(guard.held.pop())
    assert (guard.found, guard.kept) == ([Trusted(STREAM)], {})


# ---- after a fork, of which the owners chose a branch ----


def test_a_longer_head_that_was_shown_before_a_branch_was_chosen_holds_nothing_any_more() -> None:
    """It may be of the other branch, whose entries never come."""
    guard = Guard(alone=True)
    guard.meet(BOB)
    guard.hear(BOB, g.Heads((FIVE,)))
    assert guard.kept == {STREAM: 6}
    guard.do(m.Requested(g.BranchChosen(STREAM)))
    assert guard.kept == {}
    guard.hear(BOB, g.Heads((FIVE,)))
    guard.hear(BOB, g.Compare(1, FIVE, Prefix(6, (), ())))
    assert guard.found == [Trusted(STREAM), ShownAhead(STREAM, 6)]


def test_of_a_chosen_branch_only_a_head_that_is_shown_to_continue_the_log_holds_it() -> None:
    leaves = [leaf_hash(leaf) for segment in LOG for leaf in segment.leaves]
    for frontier, found in (
        ((), [Trusted(STREAM)]),
        (listed_frontier(leaves, 3), [ShownAhead(STREAM, 6), Trusted(STREAM)]),
    ):
        guard = crashed()
        guard.do(m.Requested(g.BranchChosen(STREAM)))
        guard.meet(BOB)
        for question in guard.questions(BOB):
            guard.hear(BOB, g.Continues(question.number, FIVE, frontier))
        assert guard.found == found


def test_a_log_that_was_dropped_meanwhile_ends_nothing() -> None:
    guard = Guard(alone=True)
    guard.meet(BOB)
    guard.hear(BOB, g.Heads((FIVE,)))
    del guard.shelf.logs[STREAM]
    guard.later(2 * AGAIN_S)
    guard.hear(BOB, g.Heads((FIVE,)))
    assert guard.found == [Trusted(STREAM), ShownAhead(STREAM, 6)]


def test_the_same_head_again_costs_nothing() -> None:
    guard = Guard(alone=True)
    guard.meet(BOB, CAROL)
    for peer in (BOB, CAROL, BOB):
        guard.hear(peer, g.Heads((FIVE, THREE, TWO)))
    assert guard.checked == 2  # the second before the first was known
    assert guard.found == [Trusted(STREAM), ShownAhead(STREAM, 6)]


# ---- liars ----


def forged(length: int = 50) -> ShownHead:
    head = Head(STREAM, length, Hash(bytes(32)), 1)
    return ShownHead(sign_head(head, (0, keys_of("mallory"))))


def test_a_forged_head_holds_nothing_and_answers_nothing() -> None:
    guard = crashed()
    guard.meet(BOB)
    (question,) = guard.questions()
    guard.hear(BOB, g.Continues(question.number, forged(), ()))
    assert (guard.found, guard.waits) == ([], Doubt.CUT_OFF)
    guard.meet(CAROL)
    guard.answer(CAROL)
    assert guard.waits is None


def test_who_forged_one_is_not_heard_again() -> None:
    guard = crashed()
    guard.meet(BOB)
    (question,) = guard.questions()
    guard.hear(BOB, g.Heads((forged(),)))
    guard.hear(BOB, g.Continues(question.number, TWO, ()))
    guard.hear(BOB, g.Heads((FIVE, forged(60))))
    assert (guard.found, guard.checked) == ([], 1)


def test_a_liar_does_not_hold_up_the_majority() -> None:
    guard = Guard()
    guard.meet(BOB, CAROL)
    carol = guard.questions()[1]
    guard.hear(BOB, g.Heads((forged(),)))
    guard.hear(CAROL, g.Continues(carol.number, TWO, ()))
    assert guard.waits is None


def test_an_answer_about_another_stream_is_none() -> None:
    guard = crashed()
    other = Author("other")
    guard.meet(BOB)
    (question,) = guard.questions()
    guard.hear(BOB, g.Continues(question.number, ShownHead(other.beginning[0].signed_head), ()))
    assert guard.waits == Doubt.CUT_OFF


def test_an_answer_is_about_the_stream_that_was_asked_about() -> None:
    guard = crashed()
    (other,) = many(1)
    guard.shelf.geneses[other.stream] = other
    guard.shelf.logs[other.stream] = state_from(other)
    guard.start()
    guard.meet(BOB)
    asked = guard.questions()
    assert [question.shown.head.stream for question in asked] == [STREAM, other.stream]
    guard.hear(BOB, g.Continues(asked[0].number, asked[1].shown, ()))
    assert guard.found == []


def test_checks_under_way_are_bounded() -> None:
    guard = Guard(alone=True)
    guard.held = []
    guard.meet(BOB)
    for _ in range(3):
        guard.hear(BOB, g.Heads(tuple([forged(100 + n) for n in range(CHECKS_MAX)])))
    assert guard.checked == CHECKS_MAX


# ---- many streams ----


def many(count: int) -> list[Genesis]:
    keys = ALICE.keys
    return [
        make_genesis(keys, "test", Uniqueness.GOSSIP, salt=b"%016d" % number)
        for number in range(count)
    ]


def state_from(genesis: Genesis) -> LogState:
    desk = Desk()
    desk.take(genesis, [make_genesis_segment(genesis, ALICE.keys, 1)])
    return desk.logs[genesis.stream]


def test_many_streams_are_asked_about_a_few_at_a_time() -> None:
    guard = Guard(segments=[], clean=False)
    for genesis in many(20):
        guard.shelf.geneses[genesis.stream] = genesis
        guard.shelf.logs[genesis.stream] = state_from(genesis)
    guard.start()
    guard.meet(BOB)
    asked = 0
    while questions := guard.questions():
        assert len(questions) <= QUESTIONS_MAX
        asked += len(questions)
        for question in questions:
            guard.hear(BOB, g.Continues(question.number, question.shown, ()))
    assert asked == 20
    assert guard.caution == Caution()


def test_what_was_asked_is_not_asked_again_however_often_a_peer_announces_it() -> None:
    guard = crashed()
    guard.meet(BOB)
    for _ in range(100):
        guard.do(m.Requested(g.Announced(BOB, (STREAM,), ())))
    assert len(guard.questions()) == 1


def test_who_owned_a_stream_before_us_holds_nothing() -> None:
    """Its Heads are signed by an owner of the genesis, and not by this node."""
    author = Author("mallory", uniqueness=Uniqueness.NONE)
    guard = Guard(segments=[], clean=False)
    guard.shelf.take(author.genesis, author.beginning)
    ours = owned_by((ALICE.keys, 1))
    guard.shelf.logs[author.stream] = replace(guard.shelf.logs[author.stream], owners=ours)
    guard.start()
    guard.meet(BOB)
    guard.hear(BOB, g.Heads((long_head(author),)))
    assert (guard.checked, guard.kept) == (0, {})
    guard.later(PATIENCE_S)
    assert guard.caution.why_wait(author.stream, guard.shelf.logs[author.stream]) is None
