"""Streams in whole runs: who gets what, what roles do, and what the checks say, told by hand."""

from dataclasses import replace

import pytest

from netsim import facts
from netsim.checks.converging import Converging
from netsim.checks.proofs import NoFalseProof, NothingAfterProof, ProofsStand
from netsim.checks.settling import Settling
from netsim.checks.streams import HonestOwners, OwnersSigned, StreamsDurable, StreamsGrow
from netsim.checks.streamspeech import HeadsBacked, OnlyFollowedStreams, ReadersOnly
from netsim.defects import streamplans
from netsim.defects.plans import plan, ring
from netsim.drivers import NAMES, make_driver
from netsim.plan import Do, Operation, Plan
from netsim.roles.owning import STREAMS
from netsim.roles.stream_equivocator import Showing
from netsim.running import Outcome, run
from netsim.scenario import draw, load
from netsim.scenario.export import to_toml
from netsim.streams import PlannedStream, Streams, created, entries_of
from netsim.world import World
from qbix_node.gossip import messages as g
from qbix_node.machines import Delete, Put
from qbix_node.replication.messages import EbtNotes
from qbix_node.streams.authoring import make_genesis_segment, make_segment
from qbix_node.streams.forks import ShownHead, encode_fork, equal_fork
from qbix_node.streams.growth import Growth, continue_log, read_headers
from qbix_node.streams.messages import Grown, NewEntry, Segment
from qbix_node.streams.records import (
    LogState,
    Run,
    log_key,
    put_genesis,
    put_log,
    put_run,
)
from qbix_node.streams.resolution import put_proof
from tests.netsim.stage import HONEST, Stage

STAMP_MS = 1_800_000_000_000
OPEN = Operation(0.0, 0, Do.CREATE_STREAM)
EVENS = Operation(0.0, 0, Do.CREATE_STREAM, target=2, number=1)
OTHERS = Operation(0.0, 3, Do.CREATE_STREAM)  # of the one that is not honest


class Log:
    """What an owner writes; a test says which of it is where."""

    def __init__(self, stage: Stage, operation: Operation) -> None:
        self.planned = created(operation)
        self.stage = stage
        self.keys = stage.site(operation.node).keys
        genesis = self.planned.genesis
        self.segments: list[Segment] = [make_genesis_segment(genesis, self.keys, STAMP_MS)]
        self.states = [self._after(None, self.segments[0])]

    def append(self, *texts: str) -> "Log":
        entries = [NewEntry("note", text.encode()) for text in texts]
        self.segments.append(make_segment(self.states[-1], self.keys, entries, STAMP_MS))
        self.states.append(self._after(self.states[-1], self.segments[-1]))
        return self

    def put(self, node: int, place: int = -1) -> LogState:
        """All segments up to that one are on the disk, and nobody says so."""
        upto = range(len(self.segments))[place] + 1
        self.stage.write(node, put_genesis(self.planned.genesis))
        for segment, state in zip(self.segments[:upto], self.states[:upto], strict=True):
            signed = segment.signed_head
            ending = signed.head.timestamp_ms, signed.signatures
            written = put_run(
                self.planned.id, Run(segment.first, segment.leaves, ending), segment.contents
            )
            self.stage.write(node, *written, put_log(self.planned.id, state))
        return self.states[upto - 1]

    def store(self, node: int, source: int | None = None) -> None:
        """All of it, and the node says so."""
        state = self.put(node)
        peer = None if source is None else self.stage.peer(source)
        self.stage.tell(node, Grown(self.planned.id, 0, state.length, peer))

    @property
    def head(self) -> ShownHead:
        return ShownHead(self.segments[-1].signed_head)

    def _after(self, before: LogState | None, segment: Segment) -> LogState:
        headers = read_headers(segment, before.length if before else 0)
        grown = continue_log(self.planned.genesis, before, segment, headers)
        assert isinstance(grown, Growth)
        return grown.state


@pytest.fixture
def stage() -> Stage:
    """Three honest nodes that are connected and follow all streams."""
    made = Stage(operations=(OPEN, EVENS, OTHERS))
    for node in range(HONEST):
        for each in (OPEN, EVENS, OTHERS):
            made.write(node, Put(b"r/s" + created(each).id, b""))
        for other in range(HONEST):
            if other != node:
                made.tell(node, facts.LinkUp(made.peer(other), outgoing=node < other))
    return made


def fork_of(log: Log, other: Log) -> bytes:
    return encode_fork(equal_fork(log.planned.genesis, log.head, other.head))


def prove(stage: Stage, node: int, one: Log, other: Log, *, keep: bool = True) -> None:
    fork = equal_fork(one.planned.genesis, one.head, other.head)
    if keep:
        write = put_proof(fork.stream, encode_fork(fork))
        stage.write(node, write)
    stage.tell(node, g.ForkProven(fork, None))


def complaints(stage: Stage) -> list[str]:
    return sorted([each.what for each in stage.checks.unsettled()])


# ---- what a plan says of streams ----


def test_a_stream_depends_on_its_owner_number_and_readers_alone() -> None:
    ids = {PlannedStream(*each).id for each in ((0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 0, 1))}
    assert len(ids) == 5
    assert PlannedStream(0, 0).id == PlannedStream(0, 0).id


def test_a_private_stream_is_read_by_its_owner_and_by_numbers_as_that_of_the_target() -> None:
    stream = created(EVENS)
    assert [stream.may_read(node) for node in range(4)] == [True, False, True, False]
    assert created(replace(EVENS, target=1)).may_read(0)


def test_who_follows_knows_the_readers_by_the_plan() -> None:
    follow = Operation(1.0, 2, Do.FOLLOW_STREAM, target=0, number=1)
    streams = Streams(Plan("", 1, (), 1, 1, operations=(EVENS, follow)))
    assert streams.about(follow) == created(EVENS)
    assert list(streams.by_id) == [created(EVENS).id]


def test_what_is_appended_is_never_twice_the_same() -> None:
    append = Operation(1.0, 0, Do.APPEND_STREAM, size=100, entries=3)
    said = [
        each.beside or b"" for at_s in (1.0, 1.5) for each in entries_of(replace(append, at_s=at_s))
    ]
    assert len(set(said)) == 6
    assert {len(each) for each in said if isinstance(each, bytes)} == {100}


def test_operations_of_streams_are_written_out_and_read_again() -> None:
    append = Operation(1.0, 0, Do.APPEND_STREAM, size=100, entries=3)
    made = plan("streams", 1, operations=(EVENS, append))
    assert draw(load(to_toml(made), "written"), 5).operations == (EVENS, append)


# ---- runs ----


@pytest.mark.parametrize("driver", NAMES)
def test_streams_reach_all_who_follow_and_may_read_them(driver: str) -> None:
    made = streamplans.private_streams(1)
    worlds: list[World] = []
    outcome = run(made, make_driver(driver), watch=worlds.append)
    assert (outcome.violations, outcome.stalled) == ((), ())
    [world] = worlds
    for stream in world.streams.by_id.values():
        has = [site.disk.get(b"s/l" + stream.id) is not None for site in world.sites.values()]
        assert has == [stream.may_read(node) for node in world.sites]


def attacked(role: str, amount: float, driver: str) -> Outcome:
    nodes = [replace(n, amount=amount if n.role == role else 0.0) for n in ring(**{role: 5})]
    follows = [
        Operation(0.3 + 0.02 * node, node, Do.FOLLOW_STREAM, target=5, number=number)
        for node in range(5)
        for number in range(STREAMS)
    ]
    made = plan(
        role, 1, nodes=tuple(nodes), operations=tuple(follows), duration_s=30.0, settle_s=30.0
    )
    outcome = run(made, make_driver(driver))
    assert (outcome.violations, outcome.stalled) == ((), ())
    return outcome


@pytest.mark.parametrize("driver", NAMES)
@pytest.mark.parametrize("showing", Showing)
def test_every_fork_is_proven_to_all(showing: Showing, driver: str) -> None:
    """Of four streams that were forked by then, to each of five nodes."""
    outcome = attacked("stream_equivocator", showing, driver)
    assert (outcome.forks_made, outcome.forks_proven) == (4, 4)
    assert len(outcome.detection_s) == 20
    unequal = showing is Showing.UNEQUAL
    assert outcome.events["unequal-length fork" if unequal else "equal-length fork"] > 0


@pytest.mark.parametrize("driver", NAMES)
@pytest.mark.parametrize(
    ("amount", "event"),
    [(1, "pending Head"), (2, "segment refused"), (3, "segment refused"), (5, "segment refused")],
)
def test_what_a_liar_signs_is_not_believed(amount: float, event: str, driver: str) -> None:
    assert attacked("stream_liar", amount, driver).events[event] > 0


@pytest.mark.parametrize("driver", NAMES)
def test_contents_that_are_withheld_change_nothing(driver: str) -> None:
    assert attacked("stream_withholder", 1, driver).events["content missing"] > 0


# ---- checks ----


def test_what_its_owner_signed_violates_nothing(stage: Stage) -> None:
    log = Log(stage, OPEN).append("a", "b").append("c")
    log.store(0)
    log.store(1, source=0)
    stage.checks.finish()
    assert stage.violated() == []


def test_a_log_that_is_longer_than_the_disk_is_seen(stage: Stage) -> None:
    log = Log(stage, OPEN).append("a")
    log.put(0, 0)
    stage.tell(0, Grown(log.planned.id, 0, 2, None))
    assert stage.blames(StreamsDurable, 0)


def test_a_log_that_is_shorter_than_before_is_seen(stage: Stage) -> None:
    log = Log(stage, OTHERS).append("a")
    log.store(1)
    shorter = Log(stage, OTHERS)
    shorter.put(1)
    stage.tell(1, Grown(log.planned.id, 0, 1, stage.peer(3)))
    assert stage.violated()[0] == StreamsGrow.name


def test_a_branch_in_the_place_of_another_is_seen(stage: Stage) -> None:
    Log(stage, OTHERS).append("a").store(1)
    Log(stage, OTHERS).append("b").store(1)
    assert stage.blames(StreamsGrow, 1)


def test_a_head_that_somebody_else_signed_is_seen(stage: Stage) -> None:
    log = Log(stage, OPEN)
    log.keys = stage.site(3).keys
    log.segments = [make_genesis_segment(log.planned.genesis, log.keys, STAMP_MS)]
    log.states = [replace(log.states[0], signed=log.segments[0].signed_head)]
    log.store(0)
    assert stage.blames(OwnersSigned, 0)


def test_an_honest_owner_with_two_branches_is_seen(stage: Stage) -> None:
    Log(stage, OPEN).append("a").store(0)
    Log(stage, OPEN).append("b").store(1)
    assert HonestOwners.name in stage.violated()


def put_back(stage: Stage, *, clean: bool, told_by: Log | None) -> None:
    """Node 0 has written "a", which node 1 has; then its disk is as it was before. Node 2, which
    has as much of it as that log, answers, and node 0 writes "b".
    """
    lost, again = Log(stage, OPEN).append("a"), Log(stage, OPEN).append("b")
    for node in (0, 1):
        lost.store(node)
    stage.write(0, Delete(log_key(lost.planned.id)))
    stage.tell(0, facts.RolledBack(1, noticed=False), facts.Started(clean=clean))
    if told_by is not None:
        told_by.store(2)
        answer = g.Continues(1, told_by.head, ())
        stage.tell(2, facts.SaidOfStreams(stage.peer(0), answer))
    again.store(0)
    prove(stage, 1, lost, again)


def test_an_owner_who_was_put_back_has_to_ask(stage: Stage) -> None:
    put_back(stage, clean=False, told_by=None)
    assert {HonestOwners.name, NoFalseProof.name} <= {*stage.violated()}


def test_an_owner_who_was_put_back_and_told_has_to_wait(stage: Stage) -> None:
    put_back(stage, clean=True, told_by=Log(stage, OPEN).append("a"))
    assert {HonestOwners.name, NoFalseProof.name} <= {*stage.violated()}


def test_an_owner_who_was_put_back_and_could_not_know_is_excused(stage: Stage) -> None:
    put_back(stage, clean=False, told_by=Log(stage, OPEN))
    assert not {HonestOwners.name, NoFalseProof.name} & {*stage.violated()}


def test_an_older_copy_that_was_closed_waits_all_the_same(stage: Stage) -> None:
    put_back(stage, clean=True, told_by=None)
    assert {HonestOwners.name, NoFalseProof.name} <= {*stage.violated()}


def test_a_proof_about_an_honest_owner_is_seen(stage: Stage) -> None:
    one, other = Log(stage, OPEN).append("a"), Log(stage, OPEN).append("b")
    prove(stage, 1, one, other)
    assert stage.blames(NoFalseProof, 1)


def test_a_proof_about_another_is_none(stage: Stage) -> None:
    one, other = Log(stage, OTHERS).append("a"), Log(stage, OTHERS).append("b")
    prove(stage, 1, one, other)
    stage.checks.finish()
    assert stage.violated() == []


def test_a_proof_that_is_not_kept_or_is_lost_later_is_seen(stage: Stage) -> None:
    one, other = Log(stage, OTHERS).append("a"), Log(stage, OTHERS).append("b")
    prove(stage, 1, one, other, keep=False)
    assert stage.blames(ProofsStand, 1)
    prove(stage, 2, one, other)
    proof = encode_fork(equal_fork(one.planned.genesis, one.head, other.head))
    stage.write(2, Delete(put_proof(one.planned.id, proof).key))
    stage.tell(2, facts.Started(clean=True))
    assert {each.node for each in stage.checks.violations} == {1, 2}


def test_a_stopped_stream_that_goes_on_is_seen(stage: Stage) -> None:
    """But for what was being written."""
    one, other = Log(stage, OTHERS).append("a"), Log(stage, OTHERS).append("b")
    one.store(1)
    prove(stage, 1, one, other)
    for text in "cd":
        one.append(text).store(1)
    assert stage.violated() == []
    one.append("e").store(1)
    assert stage.blames(NothingAfterProof, 1)


def test_a_note_about_more_than_is_durable_is_seen(stage: Stage) -> None:
    log = Log(stage, OPEN)
    log.store(0)
    said = EbtNotes({log.planned.id: 1 << 1})
    stage.tell(0, facts.SaidOfStreams(stage.peer(1), said))
    assert stage.violated() == []
    said = EbtNotes({log.planned.id: 2 << 1})
    stage.tell(0, facts.SaidOfStreams(stage.peer(1), said))
    assert stage.blames(HeadsBacked, 0)


def test_an_own_head_that_is_told_early_is_seen_and_one_of_others_may_be(stage: Stage) -> None:
    log = Log(stage, OPEN)
    log.store(0)
    log.append("a")
    stage.tell(1, facts.SaidOfStreams(stage.peer(2), g.Heads((log.head,))))
    assert stage.violated() == []
    stage.tell(0, facts.SaidOfStreams(stage.peer(1), g.Heads((log.head,))))
    assert stage.blames(HeadsBacked, 0)


def test_a_proof_that_is_told_before_it_is_durable_is_seen(stage: Stage) -> None:
    one, other = Log(stage, OTHERS).append("a"), Log(stage, OTHERS).append("b")
    proof = fork_of(one, other)
    stage.tell(1, facts.SaidOfStreams(stage.peer(2), g.Proofs((proof,))))
    assert stage.violated() == []  # of streams that are not here it may be in memory
    one.store(1)
    stage.tell(1, facts.SaidOfStreams(stage.peer(2), g.Proofs((proof,))))
    assert stage.blames(HeadsBacked, 1)


def test_a_stranger_who_hears_of_a_private_stream_is_seen(stage: Stage) -> None:
    log = Log(stage, EVENS)
    log.store(0)
    note = EbtNotes({log.planned.id: 1 << 1})
    stage.tell(0, facts.SaidOfStreams(stage.peer(2), note))
    refused = EbtNotes({log.planned.id: -1})
    stage.tell(0, facts.SaidOfStreams(stage.peer(1), refused))
    assert stage.violated() == []
    stage.tell(0, facts.SaidOfStreams(stage.peer(1), note))
    assert stage.blames(ReadersOnly, 0)


def test_who_announces_what_it_does_not_follow_is_seen(stage: Stage) -> None:
    stream = created(OTHERS).id
    note = EbtNotes({stream: 0})
    stage.tell(1, facts.SaidOfStreams(stage.peer(2), note))
    assert stage.violated() == []
    stage.write(1, Delete(b"r/s" + stream))
    stage.tell(1, facts.SaidOfStreams(stage.peer(2), note))
    assert stage.blames(OnlyFollowedStreams, 1)


# ---- what has to come right ----


def test_entries_that_have_not_arrived_are_waited_for(stage: Stage) -> None:
    log = Log(stage, OPEN).append("a")
    log.store(0)
    log.store(1, source=0)
    told = complaints(stage)
    assert "node 2 has 0 entries of stream 0 of node 0, node 0 has 2" in told
    log.store(2, source=0)
    assert complaints(stage) == []


def test_who_may_not_read_waits_for_nothing(stage: Stage) -> None:
    log = Log(stage, EVENS)
    log.store(0)
    log.store(2, source=0)
    assert complaints(stage) == []


def test_two_branches_are_proven_to_both(stage: Stage) -> None:
    one, other = Log(stage, OTHERS).append("a"), Log(stage, OTHERS).append("b")
    for node, log in enumerate((one, other, other)):
        log.store(node, source=3)
    two = "have two branches of stream 0 of node 3, and no proof"
    assert complaints(stage) == [f"nodes 0 and 1 {two}", f"nodes 0 and 2 {two}"]
    prove(stage, 0, one, other)
    lacks = "node 0 holds a proof about stream 0 of node 3, node {} does not"
    assert complaints(stage) == [lacks.format(1), lacks.format(2)]
    prove(stage, 1, one, other)
    prove(stage, 2, one, other)
    assert complaints(stage) == []


def test_what_was_to_be_appended_is_answered(stage: Stage) -> None:
    stage.tell(0, facts.Asked(Operation(1.0, 0, Do.APPEND_STREAM)))
    assert complaints(stage) == ["node 0 has 1 things to append and says nothing of them"]
    stage.tell(0, facts.Crashed(power=True))
    assert not [each for each in complaints(stage) if "append" in each]


def test_what_it_watches_is_told() -> None:
    """Converging hears by way of Settling, which has to watch for it."""
    assert set(Converging.watches) <= set(Settling.watches)
