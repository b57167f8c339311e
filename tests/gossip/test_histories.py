"""Random histories of streams against lists: what replicas have of each log is what its definition
says, whatever came in which order, and forks are found where there are any and nowhere else.

The model is tests/streams/logs.py: leaves in lists, roots by RFC 9162 from all leaves each time.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.gossip import messages as g
from qbix_node.gossip.knowledge import PENDING_MAX
from qbix_node.gossip.proofs import check_proof, read_proof
from qbix_node.replication.streams.contents import messages as c
from qbix_node.streams.forks import HeadFork, ShownHead, encode_fork, equal_fork, unequal_fork
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.lacking import read_lacking
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.messages import Append, Appended, Create, NewEntry, Segment, SignedHead
from qbix_node.streams.records import read_contents, read_runs, root_at
from qbix_node.streams.resolution import CLOSED
from qbix_node.streams.serving import make_segments
from qbix_node.streams.shelf import AskFor, Drop
from qbix_node.streams.succession import OWNERS_SET
from qbix_node.streams.tree import Hash, Prefix, leaf_hash
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId
from tests.gossip.replicas import GOSSIP, ROUND_S, STREAMS, Disk, DiskInMemory, LevelDisk, Replica
from tests.streams.forking import resolution
from tests.streams.logs import (
    ALICE,
    BOB,
    CAROL,
    START_MS,
    Log,
    genesis_of,
    keys_of,
    listed_frontier,
    owners_of,
    tree_root,
)

MALLORY, ZOE = keys_of("mallory"), keys_of("zoe")
HEIRS = (CAROL, ZOE)
NAMES = (ALICE, keys_of("two"), keys_of("three"))  # whose nodes the replicas are
PETE, EVE = m.PeerId(keys_of("pete").public), m.PeerId(keys_of("eve").public)

HONEST = genesis_of(ALICE)  # appended to by her node
FORKED = genesis_of(MALLORY)  # by somebody who keeps several branches of it
HANDED = genesis_of(BOB, uniqueness=Uniqueness.NONE)  # whose owners change
BRANCHES_MAX, LENGTH_MAX = 4, 40

replicas = st.integers(0, len(NAMES) - 1)
small = st.integers(0, 12)


@dataclass
class Belief:
    """What a replica has of a log."""

    leaves: list[bytes] = field(default_factory=list)
    covering: tuple[int, Hash] = (0, tree_root([]))  # length and root of the Head over it
    dropped: set[int] = field(default_factory=set)  # whose contents were
    shown: set[tuple[int, Hash]] = field(default_factory=set)  # Heads, since the start

    @property
    def length(self) -> int:
        return len(self.leaves)

    def root(self, length: int) -> Hash:
        return root_of(self.leaves, length)


def root_of(leaves: list[bytes], length: int) -> Hash:
    return tree_root([leaf_hash(leaf) for leaf in leaves[:length]])


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.branches = {
            HONEST.stream: [Log(HONEST, ((0, ALICE),))],
            FORKED.stream: [Log(FORKED, ((0, MALLORY),))],
            HANDED.stream: [Log(HANDED, ((0, BOB),))],
        }
        for log in self.logs():
            log.head(1)
        self.replicas: list[Replica] = []
        together = dict[m.PeerId, Replica]()
        for number, keys in enumerate(NAMES):
            self.replicas.append(Replica(keys, self.make_disk(number), self.streams, together))
        for one, other in product(self.replicas, self.replicas):
            if one is not other:
                one.meet(other.peer)
        self.beliefs = {
            (each.peer, name): Belief() for each in self.replicas for name in self.streams
        }
        self.wishes = 0
        self.resolves = set[bytes]()  # that mallory signed

    def make_disk(self, number: int) -> Disk:
        return DiskInMemory()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # nothing has failed yet
            self.rest()
        for each in self.replicas:
            each.disk.close()

    # ---- the model ----

    @property
    def streams(self) -> tuple[StreamId, ...]:
        return tuple(self.branches)

    def logs(self) -> Iterator[Log]:
        for branches in self.branches.values():
            yield from branches

    def branch_of(self, stream: StreamId, length: int, root: Hash) -> Log:
        """One whose first leaves are those."""
        return next(
            log
            for log in self.branches[stream]
            if log.length >= length and log.root(length) == root
        )

    def belief(self, replica: Replica, stream: StreamId) -> Belief:
        return self.beliefs[replica.peer, stream]

    def expect(self, replica: Replica, *segments: Segment) -> None:
        """SPEC streams 6.1 and 8, of segments that a peer offers one after the other."""
        for segment in segments:
            belief, head = self.belief(replica, segment.stream), segment.signed_head.head
            length, stop = belief.length, segment.stop
            if segment.stream in replica.book.stopped or stop < length or segment.first > length:
                continue
            if stop == length and head.length <= belief.covering[0]:
                continue
            chosen = replica.book.resolutions.get(segment.stream)
            foreign = chosen and head.identity != chosen.chosen_head.head.identity
            if chosen and foreign and length < chosen.fork_length:
                continue
            log = self.branch_of(segment.stream, head.length, head.root)
            if log.leaves[:length] != belief.leaves:
                return  # the peer is not listened to
            belief.shown.add(belief.covering)
            belief.leaves = log.leaves[:stop]
            belief.covering = head.length, head.root

    def segment(self, log: Log, first: int, size: int, more: int, *, bare: bool = False) -> Segment:
        """An honest one: SPEC streams 7."""
        first = min(first, log.length - 1)
        stop, total = first + 1 + size, first + 1 + size + more
        change = next((at for at in self.changes(log) if at >= first), log.length)
        stop, total = min(stop, change + 1, log.length), min(total, change + 1, log.length)
        segment = log.segment(first, stop, total)
        if not bare:
            return segment
        kept = [
            content if place in self.changes(log) else None
            for place, content in enumerate(segment.contents, first)
        ]
        return replace(segment, contents=tuple(kept))

    def changes(self, log: Log) -> list[int]:
        return [place for place in range(1, log.length) if kind_of(log.leaves[place]) == OWNERS_SET]

    def draw(self, stream: int, branch: int) -> Log:
        branches = self.branches[self.streams[stream % len(self.streams)]]
        return branches[branch % len(branches)]

    # ---- what owners do ----

    @initialize()
    def create(self) -> None:
        node = self.replicas[0]
        node.do(STREAMS, m.Requested(Create(0, HONEST, START_MS)))
        log = self.branches[HONEST.stream][0]
        self.beliefs[node.peer, HONEST.stream] = Belief(log.leaves[:], (1, log.root(1)))

    @initialize(
        length=st.integers(1, 20),
        partings=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 8)), min_size=1, max_size=3),
        spread=st.sampled_from((True, True, True, False)),
        size=small,
    )
    def begin_forked(
        self, length: int, partings: list[tuple[int, int]], spread: bool, size: int
    ) -> None:
        """Mallory has prepared branches, and shown each replica the beginning of another."""
        branches = self.branches[FORKED.stream]
        self.write(1, 0, length - 1, intent=False)
        for at, more in partings:
            self.fork(0, at)
            self.write(1, -1, more, intent=at % 2 == 0)
        for at in range(len(NAMES) if spread else 0):
            self.offer(at, 1, at % len(branches), [(0, size, 12, False), (9, at, 1, True)])

    @rule(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3))
    def append(self, sizes: list[int]) -> None:
        """By alice's node: wishes that wait together go under one Head."""
        node, log = self.replicas[0], self.branches[HONEST.stream][0]
        wishes, written = list[Append](), list[list[bytes]]()
        for size in sizes if log.length < LENGTH_MAX else ():
            self.wishes += 1
            contents = [b"%d of %d" % (number, self.wishes) for number in range(size)]
            entries = tuple([NewEntry("note", content) for content in contents])
            wishes.append(Append(self.wishes, HONEST.stream, entries, START_MS))
            written.append(contents)
        node.do(STREAMS, *[m.Requested(wish) for wish in wishes])
        for wish, contents in zip(wishes, written, strict=True):
            first = log.length
            for content in contents:
                log.leaves.append(own_leaf(log, content))
                log.contents.append(content)
            said = Appended(wish.request, HONEST.stream, first, log.length)
            assert said in node.found
        if wishes:
            head = log.length, log.root(log.length)
            self.beliefs[node.peer, HONEST.stream] = Belief(
                log.leaves[:], head, self.belief(node, HONEST.stream).dropped
            )

    @rule(stream=st.integers(1, 2), branch=small, count=st.integers(1, 9), intent=st.booleans())
    def write(self, stream: int, branch: int, count: int, intent: bool) -> None:
        log = self.draw(stream, branch)
        for _ in range(count if log.length < LENGTH_MAX else 0):
            if intent:
                base = 1 + (7 * log.length) % log.length
                log.intend(log.length, base=base, author=ALICE)
            else:
                log.write(f"{id_of(log, self.branches[log.stream])} {log.length}")
            log.head(log.length)

    @rule(branch=small, at=st.integers(1, 30))
    def fork(self, branch: int, at: int) -> None:
        """Where the branches end makes forks of equal and of unequal length."""
        branches = self.branches[FORKED.stream]
        if len(branches) < BRANCHES_MAX:
            log = self.draw(1, branch)
            branches.append(log.twin(min(at, log.length)))
            branches[-1].write(f"branch {len(branches)} at {at}")

    @rule(heir=st.sampled_from(HEIRS))
    def hand_over(self, heir: KeyPair) -> None:
        log = self.branches[HANDED.stream][0]
        if log.length < LENGTH_MAX and len(self.changes(log)) < 6:
            log.hand_over(owners_of((heir, 1), threshold=1), (0, heir))

    @precondition(lambda self: any(each.gossiper.proofs(FORKED.stream) for each in self.replicas))
    @rule(at=replicas, who=replicas, number=small, side=st.integers(0, 1))
    def resolve(self, at: int, who: int, number: int, side: int) -> None:
        """Mallory chooses, whatever she chose before."""
        proofs = [read_proof(each) for each in self.replicas[who].gossiper.proofs(FORKED.stream)]
        forks = [each for each in proofs if isinstance(each, HeadFork) and not each.resolved]
        if forks:
            fork = forks[number % len(forks)]
            chosen = self.branch_of(FORKED.stream, fork.compared_length, fork.roots[side])
            choice = resolution(fork, chosen)
            given = g.Submitted(1, choice)
            if FORKED.stream in self.replicas[at].book.geneses:
                self.resolves.add(choice.signed.resolve.body)
            self.replicas[at].do(GOSSIP, m.Requested(given))
            self.follow_choices()

    # ---- what replicas are told ----

    @rule(
        at=replicas,
        stream=small,
        branch=small,
        runs=st.lists(st.tuples(small, small, small, st.booleans()), min_size=1, max_size=4),
    )
    def offer(
        self, at: int, stream: int, branch: int, runs: list[tuple[int, int, int, bool]]
    ) -> None:
        """Runs of one branch in any order, some of them again, some under a longer Head."""
        log, replica = self.draw(stream, branch), self.replicas[at]
        length = self.belief(replica, log.stream).length
        segments = [
            self.segment(log, first if first < 9 else length, size, more, bare=bare)
            for first, size, more, bare in runs
        ]
        self.expect(replica, *segments)
        replica.offer(PETE, *segments)
        self.follow_choices()

    @rule(at=replicas, one=small, other=small, more=small)
    def show_further(self, at: int, one: int, other: int, more: int) -> None:
        """Heads far ahead of their entries, one after the other, perhaps of two branches."""
        for branch in (one, other, other):
            self.offer(at, 1, branch, [(9, 0, more, False)])

    @rule(at=replicas, to=replicas, stream=small, back=small, size=st.integers(1, 9))
    def pass_on(self, at: int, to: int, stream: int, back: int, size: int) -> None:
        """As replicas serve each other."""
        source, target = self.replicas[at], self.replicas[to]
        name = self.streams[stream % len(self.streams)]
        if source is not target and name in source.book.logs:
            state = source.book.logs[name]
            first = max(0, min(self.belief(target, name).length, state.length - 1) - back // 4)
            chosen = source.book.resolutions.get(name)
            parts = source.disk, state, first, first + size
            segments = make_segments(*parts, resolution=chosen)
            self.expect(target, *segments)
            target.offer(source.peer, *segments)
            self.follow_choices()

    @rule(at=replicas, stream=small, branch=small, length=st.integers(1, LENGTH_MAX))
    def tell_head(self, at: int, stream: int, branch: int, length: int) -> None:
        """Before its entries, or after."""
        log, replica = self.draw(stream, branch), self.replicas[at]
        replica.meet(PETE)
        signed = log.head(min(length, log.length))
        replica.hear(PETE, g.Heads((ShownHead(signed),)))
        if log.stream in replica.book.logs:
            shown = signed.head.length, signed.head.root
            self.belief(replica, log.stream).shown.add(shown)
        replica.part(PETE)
        self.follow_choices()

    @rule(at=replicas, to=replicas, count=st.integers(1, 4))
    def deliver(self, at: int, to: int, count: int) -> None:
        """What waits longest of what the one said to the other."""
        source, target = self.replicas[at], self.replicas[to]
        waiting = [said for said in source.said if said[0] == target.peer]
        for said in waiting[:count]:
            source.said.remove(said)
            target.hear(source.peer, said[1])
        self.follow_choices()

    @rule()
    def pass_time(self) -> None:
        for each in self.replicas:
            each.pass_time(ROUND_S)
        self.follow_choices()

    @rule(at=replicas, first=small, size=small, ask=st.booleans(), stream=small)
    def drop_or_fetch(self, at: int, first: int, size: int, ask: bool, stream: int) -> None:
        name = self.streams[stream % len(self.streams)]
        replica, belief = self.replicas[at], self.belief(self.replicas[at], name)
        edit = (AskFor if ask else Drop)(name, first, first + size)
        replica.do(STREAMS, m.Requested(c.Change(1, edit)))
        if name in replica.book.logs:
            places = {
                place
                for place in range(max(first, 1), min(first + size, belief.length))
                if kind_of(belief.leaves[place]) != OWNERS_SET
            }
            belief.dropped = belief.dropped - places if ask else belief.dropped | places

    # ---- what goes wrong ----

    @rule(at=replicas, stream=small, branch=small, fuse=st.integers(0, 4), size=small)
    def crash(self, at: int, stream: int, branch: int, fuse: int, size: int) -> None:
        """While a run is on its way into the log, or after."""
        replica, log = self.replicas[at], self.draw(stream, branch)
        belief = self.belief(replica, log.stream)
        before = Belief(belief.leaves[:], belief.covering, belief.dropped)
        segment = self.segment(log, belief.length, size, 0)
        self.expect(replica, segment)
        replica.fuse = fuse
        replica.offer(PETE, segment)
        replica.disk.reopen()
        replica.start()
        for name in self.streams:
            self.belief(replica, name).shown.clear()
        for other in self.replicas:
            if other is not replica:
                kept = [said for said in other.said if said[0] != replica.peer]
                other.said.clear()
                other.said.extend(kept)
                other.part(replica.peer)
                other.meet(replica.peer)
                replica.meet(other.peer)
        if replica.book.length(log.stream) == before.length:
            state = replica.book.logs.get(log.stream)
            head = state.signed.head if state else None
            if head is None or (head.length, head.root) == before.covering:
                self.beliefs[replica.peer, log.stream] = before
        self.follow_choices()

    @rule(at=replicas, how=st.integers(0, 6), place=st.integers(1, LENGTH_MAX))
    def slander(self, at: int, how: int, place: int) -> None:
        """Whatever eve makes of what alice signed, it is no proof, and stops nothing."""
        replica, log = self.replicas[at], self.branches[HONEST.stream][0]
        length = min(place, log.length)
        signed, longest = log.head(length), log.head(log.length)
        replica.meet(EVE)
        match how:
            case 0:
                replica.hear(EVE, g.Heads((ShownHead(with_root(signed)),)))
            case 1:
                shown = Prefix(length, (strange(1),) * length.bit_count(), ())
                replica.hear(EVE, g.Compare(1, ShownHead(signed), shown))
            case 2:
                fork = equal_fork(HONEST, ShownHead(signed), ShownHead(with_root(signed)))
                replica.hear(EVE, g.Proofs((encode_fork(fork),)))
            case 3 if length < log.length:
                one = Prefix(length, (), ())
                other = Prefix(length, (strange(2),) * length.bit_count(), ())
                fork = unequal_fork(HONEST, ShownHead(signed), one, ShownHead(longest), other)
                replica.hear(EVE, g.Proofs((encode_fork(fork),)))
            case 4:
                theirs = self.branches[FORKED.stream][-1]
                head = theirs.head(theirs.length)
                moved = head._replace(head=head.head._replace(stream=HONEST.stream))
                replica.hear(EVE, g.Heads((ShownHead(moved),)))
            case 5:
                lie = Log(HONEST, ((0, MALLORY),)).write_many(length)
                parts = tuple(lie.leaves), tuple(lie.contents)
                replica.offer(EVE, Segment(HONEST.stream, 0, *parts, longest, ()))
            case _:
                twin = log.twin(length)
                twin.signers = ((0, MALLORY),)
                twin.write("forged")
                replica.offer(EVE, twin.segment(max(0, length - 1), twin.length))
        replica.part(EVE)

    # ---- what has to hold ----

    def follow_choices(self) -> None:
        """SPEC streams 6.1: who has another branch drops it, once the owners chose."""
        for replica in self.replicas:
            chosen = replica.book.resolutions.get(FORKED.stream)
            belief = self.belief(replica, FORKED.stream)
            if chosen is None or not belief.leaves:
                continue
            length, head = chosen.fork_length, chosen.chosen_head.head
            if belief.length >= length:
                stays = belief.root(length) == chosen.chosen_root
            else:
                stays = belief.covering == (head.length, head.root)
            if not stays:
                self.beliefs[replica.peer, FORKED.stream] = Belief()

    @invariant()
    def logs_are_what_was_shown(self) -> None:
        for replica, stream in product(self.replicas, self.streams):
            belief, state = self.belief(replica, stream), replica.book.logs.get(stream)
            assert replica.book.length(stream) == belief.length
            if state is None:
                continue
            head = state.signed.head
            covered = self.branch_of(stream, head.length, head.root).hashes[: head.length]
            assert (head.length, head.root) == belief.covering
            assert state.frontier == listed_frontier(covered, belief.length)
            assert root_at(replica.disk, stream, belief.length) == belief.root(belief.length)
            part = 1 + belief.length // 2
            assert root_at(replica.disk, stream, part) == belief.root(part)
            self.check_stored(replica, stream, belief)

    def check_stored(self, replica: Replica, stream: StreamId, belief: Belief) -> None:
        runs = read_runs(replica.disk, stream, 0, belief.length)
        assert [leaf for run in runs for leaf in run.leaves] == belief.leaves
        for run in runs:
            lacking = read_lacking(replica.disk, stream, run.first)
            contents = dict(enumerate(read_contents(replica.disk, stream, run), run.first))
            contents.pop(0, None)
            assert lacking.every == {place for place, each in contents.items() if each is None}
            for place, content in contents.items():
                if content is not None:
                    assert sha256(content).digest() == unpack(belief.leaves[place], "")[10]
            assert belief.dropped & contents.keys() == {*lacking.dropped}

    @invariant()
    def who_forked_is_convicted_and_nobody_else(self) -> None:
        for replica in self.replicas:
            for stream in (HONEST.stream, HANDED.stream):
                assert replica.gossiper.proofs(stream) == []
                assert stream not in replica.book.stopped
            proofs = [read_proof(each) for each in replica.gossiper.proofs(FORKED.stream)]
            for proof in proofs:
                check_proof(proof)
                if isinstance(proof, HeadFork):
                    self.check_fork(proof)
            stops = FORKED.stream in replica.book.stopped
            chosen = replica.gossiper.resolution(FORKED.stream)
            if chosen is None:
                assert stops == bool(proofs)
            assert replica.gossiper.stopped(FORKED.stream) == replica.book.stopped.get(
                FORKED.stream
            )
            named = {other.peer for other in self.replicas} | {PETE}
            liars = [each for each in replica.found if isinstance(each, LiarFound)]
            assert [each for each in liars if each.peer in named] == []

    def check_fork(self, proof: HeadFork) -> None:
        """By the branches themselves."""
        heads = proof.shown.head, proof.other.head
        logs = [
            self.branch_of(FORKED.stream, head.length, head.root).leaves[: head.length]
            for head in heads
        ]
        pairs = zip(*logs, strict=False)
        parting = next(place for place, (one, other) in enumerate(pairs, 1) if one != other)
        assert parting <= proof.compared_length
        if proof.prefixes is not None:
            assert proof.forked_length <= proof.compared_length
            if proof.prefixes[0].peaks and proof.prefixes[1].peaks:
                assert proof.forked_length <= parting

    @rule()
    def rest(self) -> None:
        """Everybody hears everything: whoever could know of the fork does."""
        for _ in range(6):
            for each in self.replicas:
                each.pass_time(ROUND_S)
                each.look_for_contents()
            self.deliver_all()
        self.follow_choices()
        self.forks_are_found()
        self.heads_that_wait_have_no_entries_here()
        self.contents_are_fetched()

    def deliver_all(self) -> None:
        while any(each.said for each in self.replicas):
            for source in self.replicas:
                while source.said:
                    to, message = source.said.popleft()
                    if target := source.others.get(to):
                        target.hear(source.peer, message)

    def forks_are_found(self) -> None:
        stream = FORKED.stream
        holding = [each for each in self.replicas if stream in each.book.geneses]
        stopped = {each.book.stopped.get(stream) for each in holding}
        chosen = {each.gossiper.resolution(stream) for each in holding}
        assert len(stopped) <= 1
        if len(self.resolves) > 1:
            assert stopped == {CLOSED}
        if CLOSED in stopped:
            return
        assert len(chosen) <= 1
        contradicting = any(
            self.contradict(self.belief(one, stream), self.belief(other, stream))
            for one, other in product(holding, holding)
        )
        remembered = any(self.remembers_another(self.belief(each, stream)) for each in holding)
        if (contradicting or remembered) and not chosen - {None}:
            assert stopped != {None}

    def remembers_another(self, belief: Belief) -> bool:
        """Whether it was shown a Head, no more than are kept, that its log does not continue."""
        shown = [head for head in belief.shown if 0 < head[0] <= belief.length]
        few = len(belief.shown) <= PENDING_MAX
        return few and any(belief.root(length) != root for length, root in shown)

    def contradict(self, one: Belief, other: Belief) -> bool:
        """Whether there is a length at which both are known, and differ."""
        length, root = one.covering
        same = min(one.length, other.length)
        if one.leaves[:same] != other.leaves[:same]:
            return True
        if length == other.covering[0] and root != other.covering[1]:
            return True
        return 0 < length <= other.length and other.root(length) != root

    def heads_that_wait_have_no_entries_here(self) -> None:
        for replica, stream in product(self.replicas, self.streams):
            for signed in replica.gossiper.pending(stream):
                assert signed.head.length > replica.book.length(stream)
                self.branch_of(stream, signed.head.length, signed.head.root)  # there is one

    def contents_are_fetched(self) -> None:
        """What somebody has, and nobody dropped here."""
        for each in self.replicas:
            each.now += 7200.0
        for _ in range(3):
            for each in self.replicas:
                each.pass_time(ROUND_S)
                each.look_for_contents()
            self.deliver_all()
        for stream in (HONEST.stream, HANDED.stream):
            kept = [self.contents(each, stream) for each in self.replicas]
            there = {place for each in kept for place, content in each.items() if content}
            for replica, contents in zip(self.replicas, kept, strict=True):
                lacking = {place for place, content in contents.items() if content is None}
                assert lacking & there <= self.belief(replica, stream).dropped

    def contents(self, replica: Replica, stream: StreamId) -> dict[int, bytes | None]:
        found = dict[int, bytes | None]()
        for run in read_runs(replica.disk, stream, 0, replica.book.length(stream)):
            found |= dict(enumerate(read_contents(replica.disk, stream, run), run.first))
        found.pop(0, None)
        return found


class OnLevelDb(Histories):
    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        super().__init__()

    def make_disk(self, number: int) -> Disk:
        return LevelDisk(Path(self.folder.name) / str(number))

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


def kind_of(leaf: bytes) -> str | None:
    row = unpack(leaf, "")
    return row[8] if len(row) == 12 else None


def own_leaf(log: Log, content: bytes) -> bytes:
    """SPEC streams 2: a header of the only owner's."""
    place, named = log.length, (len(content), sha256(content).digest())
    said = None, START_MS, "note", *named, None
    return pack((1, log.stream, place, ALICE.public, place, place, *said))


def id_of(log: Log, branches: list[Log]) -> int:
    return next(number for number, each in enumerate(branches) if each is log)


def strange(number: int) -> Hash:
    return Hash(bytes([number]) * 32)


def with_root(signed: SignedHead) -> SignedHead:
    return signed._replace(head=signed.head._replace(root=strange(3)))


OFTEN = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_histories_of_replicas_are_those_of_lists() -> None:
    run_state_machine_as_test(Histories, settings=OFTEN)


def test_and_so_they_are_in_a_real_database() -> None:
    run_state_machine_as_test(OnLevelDb, settings=settings(OFTEN, max_examples=4))


@pytest.mark.slow
def test_many_histories_of_replicas() -> None:
    run_state_machine_as_test(
        Histories, settings=settings(OFTEN, max_examples=3000, stateful_step_count=80)
    )
