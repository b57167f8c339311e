"""Byzantine programs say over real links what their machines say."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from netsim import facts
from netsim import messages as s
from netsim.full import FullDriver
from netsim.plan import Do, NodePlan, Operation, Plan, blob_bytes
from netsim.roles import ROLES, Dial, Face, Role
from netsim.roles.role import Stage
from netsim.running import make_world
from netsim.site import keys_of
from netsim.world import World
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.crypto.boxes import sha256
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import Appended, Offered
from qbix_node.replication import messages as r
from qbix_node.replication.messages import EbtNotes, make_note
from qbix_node.wire.references import BlobId, FeedId
from qbix_node.wire.v8json import JsonValue, parse

HONEST, BYZANTINE = 0, 1
OURS = FeedId(keys_of(BYZANTINE).public)
THEIRS = FeedId(keys_of(HONEST).public)
PEER = m.PeerId(THEIRS)
PUBLISH = Operation(1.0, HONEST, Do.PUBLISH, number=1, size=100)

Script = Callable[[m.Event], list[m.Effect]]


class Scripted:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.heard: list[m.Event] = []

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        self.heard.append(event)
        return tuple(self.script(event))

    @property
    def received(self) -> list[object]:
        return [event.message for event in self.heard if isinstance(event, m.Received)]

    def of(self, kind: type[object]) -> list[object]:
        return [message for message in self.received if isinstance(message, kind)]


class Stageplay:
    """An honest node, which a byzantine one dials, or which dials that."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        script: Script,
        *operations: Operation,
        dials: bool = True,
        reads_bytes_s: float = float("inf"),
    ) -> None:
        self.machine = Scripted(script)

        def make(stage: Stage) -> Role:
            dial = (Dial(HONEST, after_s=2.0),) if dials else ()
            return Role((Face(stage.site.keys, self.machine, dial, reads_bytes_s),))

        monkeypatch.setitem(ROLES, "scripted", make)
        nodes = (
            NodePlan(HONEST, knows=() if dials else (BYZANTINE,), follows=(BYZANTINE,)),
            NodePlan(BYZANTINE, "scripted"),
        )
        plan = Plan("play", 1, nodes, 10.0, 60.0, operations=operations)
        self.driver = FullDriver()
        self.world = make_world(plan, self.driver)
        self.told: list[tuple[int, object]] = []
        self.world.journal.watch(lambda node, fact: self.told.append((node, fact)))

    def at(self, when: float, action: Callable[[World], object]) -> None:
        self.world.loop.at(when, action, self.world)

    def until(self, end_s: float) -> "Stageplay":
        for operation in self.world.plan.operations:
            self.world.loop.at(operation.at_s, self._ask, operation)
        self.at(end_s, _end)
        self.driver.run(self.world)
        assert not self.of(facts.Failed, HONEST)
        assert not self.of(facts.Failed, BYZANTINE)
        return self

    def _ask(self, operation: Operation) -> None:
        self.world.members[operation.node].ask(operation)

    def of(self, kind: type[object], node: int) -> list[object]:
        return [fact for who, fact in self.told if who == node and isinstance(fact, kind)]


def _end(world: World) -> None:
    world.over = True


def own_message() -> JsonValue:
    message = make_message(keys_of(BYZANTINE), None, {"type": "post", "text": "trust me"}, 1)
    return parse(message.encoded.encode(), "message")


def test_a_face_that_dials_calls_and_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Connected(peer, outgoing=True):
                return [m.Send(peer, r.EbtCall())]
            case m.Received(peer, EbtNotes()):
                notes = EbtNotes({OURS: make_note(1, receive=True), FeedId(PEER): 0})
                return [m.Send(peer, notes), m.Send(peer, Offered((own_message(),), 0))]
            case _:
                return []

    play = Stageplay(monkeypatch, script, PUBLISH).until(6)
    (notes, *_) = play.machine.of(EbtNotes)
    assert isinstance(notes, EbtNotes)
    assert notes.notes[THEIRS] == make_note(1, receive=True)
    assert play.of(Appended, HONEST)[1:] == [Appended(OURS, 1, 1, m.PeerId(OURS))]
    (offered,) = play.machine.of(Offered)
    assert isinstance(offered, Offered)
    assert [each["sequence"] for each in offered.messages if isinstance(each, dict)] == [1]


def test_a_face_that_is_dialled_hears_the_call_and_may_refuse_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then it is asked for a history, as all that do not speak EBT."""

    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Received(peer, r.EbtCall()):
                return [m.Send(peer, r.EbtEnded("I never learnt it"))]
            case m.Received(peer, r.HistoryRequest(feed)):
                part = s.HistoryPart(feed, (own_message(),))
                return [m.Send(peer, part), m.Send(peer, r.HistoryEnded(feed))]
            case _:
                return []

    play = Stageplay(monkeypatch, script, dials=False).until(10)
    assert play.machine.heard[0] == m.Connected(PEER, outgoing=False)
    assert isinstance(play.machine.of(r.HistoryRequest)[0], r.HistoryRequest)
    assert play.of(Appended, HONEST) == [Appended(OURS, 1, 1, m.PeerId(OURS))]


def test_a_face_reads_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Connected(peer):
                return [m.Send(peer, r.HistoryRequest(THEIRS, keys=False))]
            case _:
                return []

    play = Stageplay(monkeypatch, script, PUBLISH, replace(PUBLISH, at_s=1.5)).until(6)
    told = play.machine.received
    (offered,) = play.machine.of(Offered)
    assert isinstance(offered, Offered)
    assert len(offered.messages) == 2
    assert told.index(offered) < told.index(r.HistoryEnded(THEIRS))


DATA = blob_bytes(BYZANTINE, 1, 5000)
BLOB = BlobId(sha256(DATA))
WANT = Operation(1.0, HONEST, Do.WANT_BLOB, target=BYZANTINE, number=1, size=5000)


def test_a_face_gives_a_blob(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Connected(peer):
                return [m.Send(peer, b.Listening())]
            case m.Received(peer, b.Want(blob)):
                return [m.Send(peer, b.Have(blob, 5000))]
            case m.Received(peer, s.BlobGet(number, blob, 5000)):
                halves = [s.BlobBytes(number, DATA[:2000]), s.BlobBytes(number, DATA[2000:])]
                return [m.Send(peer, each) for each in (*halves, s.BlobEnd(number))]
            case _:
                return []

    play = Stageplay(monkeypatch, script, WANT).until(8)
    assert play.of(b.Arrived, HONEST) == [b.Arrived(BLOB, 5000)]
    assert b.Listening() in play.machine.received


def test_what_is_no_longer_wanted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Connected(peer):
                return [m.Send(peer, b.Listening())]
            case m.Received(peer, b.Want(blob)):
                return [m.Send(peer, b.Have(blob, 5000))]
            case m.Received(peer, s.BlobGet(number)):
                return [m.Send(peer, s.BlobBytes(number, DATA[:100]))]
            case _:
                return []

    unwant = replace(WANT, do=Do.UNWANT_BLOB, at_s=5.0)
    play = Stageplay(monkeypatch, script, WANT, unwant).until(8)
    assert s.BlobCancel(1) in play.machine.received


def test_a_face_gets_a_blob_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = blob_bytes(HONEST, 1, 5000)
    missing = BlobId(sha256(b"nobody has it"))

    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Connected(peer):
                get = s.BlobGet(7, BlobId(sha256(theirs)), 5000)
                return [m.Send(peer, get), m.Send(peer, s.BlobGet(8, missing, 5000))]
            case _:
                return []

    add = Operation(1.0, HONEST, Do.ADD_BLOB, number=1, size=5000)
    play = Stageplay(monkeypatch, script, add).until(8)
    pieces = [each for each in play.machine.of(s.BlobBytes) if isinstance(each, s.BlobBytes)]
    assert b"".join([each.data for each in pieces if each.number == 7]) == theirs
    ends = [each for each in play.machine.of(s.BlobEnd) if isinstance(each, s.BlobEnd)]
    assert {each.number: bool(each.reason) for each in ends} == {7: False, 8: True}


def test_timers_misdeeds_and_hanging_up(monkeypatch: pytest.MonkeyPatch) -> None:
    misdeed = facts.Misdeed("crowded")

    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Connected():
                return [m.SetTimer("leave", 3.0), m.Emit(misdeed)]
            case m.TimerFired("leave"):
                return [m.Emit(r.Hangup(PEER, "I have seen enough"))]
            case _:
                return []

    play = Stageplay(monkeypatch, script).until(10)
    # It dials again after 5 s.
    assert play.of(facts.Misdeed, BYZANTINE) == [misdeed, misdeed]
    downs = play.of(facts.LinkDown, BYZANTINE)
    assert downs == [facts.LinkDown(PEER, "I have seen enough")] * len(downs)
    kinds = [type(event) for event in play.machine.heard if not isinstance(event, m.Received)]
    assert kinds[:4] == [m.Connected, m.TimerFired, m.Disconnected, m.Connected]


def test_a_person_may_ask_something_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    act = Operation(1.0, BYZANTINE, Do.ACT, number=3)
    play = Stageplay(monkeypatch, lambda _: [], act).until(2)
    assert play.machine.heard == [m.Requested(act)]


def test_a_crash_ends_its_connections_and_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Stageplay(monkeypatch, lambda _: [])
    play.at(4, lambda world: world.members[BYZANTINE].crash(power=True))
    play.at(5, lambda world: world.members[BYZANTINE].start())
    play.until(9)
    kinds = [type(event) for event in play.machine.heard if not isinstance(event, m.Received)]
    assert kinds[:3] == [m.Connected, m.Disconnected, m.Connected]


def test_who_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Stageplay(monkeypatch, lambda _: [], reads_bytes_s=0.0).until(60)
    assert play.machine.received == []
    assert len(play.of(facts.LinkDown, HONEST)) == 1


def test_a_slow_reader_gets_everything_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(event: m.Event) -> list[m.Effect]:
        match event:
            case m.Connected(peer):
                return [m.Send(peer, r.HistoryRequest(THEIRS, keys=False))]
            case _:
                return []

    many = [replace(PUBLISH, number=number, at_s=0.5 + number / 100) for number in range(50)]
    play = Stageplay(monkeypatch, script, *many, reads_bytes_s=2000.0)
    play.until(60)
    parts = [each for each in play.machine.of(Offered) if isinstance(each, Offered)]
    assert sum([len(each.messages) for each in parts]) == 50
    assert len(parts) > 5
