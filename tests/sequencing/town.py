"""Members with a Sequencer and a StreamBook each, on disks that outlive them and a wire that loses.

Nothing happens by itself: messages are delivered, writes synced, entries replicated and timers
fired when somebody says so, or in the order of a random source.
"""

import math
import random
from collections import deque
from dataclasses import dataclass, field
from itertools import combinations

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.runtime.runner import verify_checks
from qbix_node.sequencing import messages as q
from qbix_node.sequencing import packets
from qbix_node.sequencing.desk import Book
from qbix_node.sequencing.machine import Kept, Sequencer
from qbix_node.sequencing.records import (
    read_choices,
    read_runs,
    read_signed,
    read_votes,
    read_written,
)
from qbix_node.sequencing.withdrawing import Withdrawn, withdraw
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.machine import StreamBook
from qbix_node.streams.messages import (
    Create,
    Grown,
    LargeContent,
    NewEntry,
    OfferedSegment,
    read_header,
)
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.records import log_key, read_leaves, read_log_state, read_streams
from qbix_node.streams.resolution import Resolution, put_resolution, read_resolutions
from qbix_node.streams.serving import make_segments
from qbix_node.streams.switching import ResolveStream
from qbix_node.wire.packing import pack
from qbix_node.wire.references import StreamId
from tests.streams.logs import keys_of

START_S = 1_700_000_000.0
ALICE, BOB, CAROL, DAVE = names = ("alice", "bob", "carol", "dave")


def genesis_of(
    *owners: str,
    threshold: int,
    sequencer: str = ALICE,
    writers: tuple[str, ...] | None = None,
    readers: tuple[str, ...] | None = None,
) -> Genesis:
    rows = sorted([(AuthorId(keys_of(name).public), 1) for name in owners])
    params = [("sequencer", keys_of(sequencer).public)]
    for what, named in (("writers", writers), ("readers", readers)):
        if named is not None:
            params.append((what, pack(tuple(sorted([keys_of(name).public for name in named])))))
    decided = Owners(tuple(rows), threshold)
    salt = b"salt".ljust(16, b".")
    return Genesis(decided, "notes", Uniqueness.GOSSIP, tuple(sorted(params)), salt)


@dataclass
class Member:
    name: str
    disk: MemoryDisk = field(default_factory=MemoryDisk)
    followed: list[StreamId] = field(default_factory=list)
    stopped: dict[StreamId, str] = field(default_factory=dict)
    doubts: dict[StreamId, str] = field(default_factory=dict)
    found: list[object] = field(default_factory=list)
    signed: list[tuple[int, bytes]] = field(default_factory=list)  # length and root, ever
    slow: bool = False  # questions and signature checks wait until they are told to be done

    def __post_init__(self) -> None:
        self.keys: KeyPair = keys_of(self.name)
        self.id = m.PeerId(self.keys.public)
        self.requests = 0
        self.now = 0.0
        self.restart()

    def restart(self) -> None:
        """From what is durable."""
        self.disk.withdraw()
        geneses = read_streams(self.disk)
        records = {stream: self.disk.get(log_key(stream)) for stream in geneses}
        logs = {each: read_log_state(record, each) for each, record in records.items() if record}
        self.book = StreamBook(
            self.keys,
            m.Tokens(),
            geneses,
            logs,
            self.stopped,
            resolutions=read_resolutions(self.disk),
            withdraw=withdraw,
        )
        for stream in [*self.followed, *geneses]:
            self.book.accept(stream)
        switching, doubts = self.book.switching, self.doubts.get
        view = Book(geneses, logs, self.stopped, self.replicates, switching, doubts)
        known = read_runs(self.disk), read_signed(self.disk), read_written(self.disk)
        kept = Kept(*known, read_votes(self.disk), read_choices(self.disk))
        self.machine = Sequencer(self.keys, view, kept, epoch_s=START_S)
        self.out: deque[tuple[m.PeerId, bytes]] = deque()
        self.writes: deque[tuple[m.Machine, m.Persist]] = deque()
        self.work: deque[tuple[m.Machine, m.Ask | m.Verify]] = deque()
        self.held: dict[m.Token, list[m.Send]] = {}
        self.alarms: dict[str, float] = {}
        self.tell(m.Requested(q.Start()))

    def replicates(self, stream: StreamId) -> bool:
        return stream in self.followed or self.book.owns(stream)

    def follow(self, stream: StreamId) -> None:
        self.followed.append(stream)
        self.book.accept(stream)

    # ---- events and effects ----

    def tell(self, event: m.Event, machine: m.Machine | None = None) -> None:
        machine = machine or self.machine
        for effect in machine.handle(event, self.now, random.Random(1)):
            self._carry_out(effect, machine)

    def _carry_out(self, effect: m.Effect, machine: m.Machine) -> None:
        match effect:
            case m.Send(to, message, after):
                if after in self.held:
                    self.held[after].append(effect)
                else:
                    self._send(to, message)
            case m.Persist(token):
                self.writes.append((machine, effect))
                if machine is self.machine:
                    self.held[token] = []
            case m.Verify() | m.Ask():
                self.work.append((machine, effect))
                if not self.slow:
                    self.do_work()
            case m.SetTimer(name, at):
                self.alarms[name] = at
            case m.Emit(finding):
                self._found(finding)
            case other:
                raise AssertionError(other)

    def _send(self, to: m.PeerId, message: object) -> None:
        assert isinstance(message, q.Message)
        match message:
            case q.Signature(_, length, root):
                self.signed.append((length, root))
            case q.Propose(head=head):  # the sequencer has signed it, too
                self.signed.append((head.length, head.root))
            case _:
                pass
        self.out.append((to, packets.encode(message)))

    def _found(self, finding: object) -> None:
        self.found.append(finding)
        match finding:
            case q.Completed(segment):
                self.tell(m.Received(m.PeerId(b"export"), OfferedSegment(segment)), self.book)
            case q.Resolved(resolution):
                self.resolve(resolution)
            case Withdrawn():
                self.tell(m.Requested(finding))
            case Grown(stream, first, stop):
                self.tell(m.Requested(q.Grew(stream, first, stop)))
            case _:
                pass

    def do_work(self, of: m.Machine | None = None) -> bool:
        """The oldest, of one machine if it is named."""
        found = [work for work in self.work if of in (None, work[0])]
        if not found:
            return False
        machine, effect = found[0]
        self.work.remove(found[0])
        if isinstance(effect, m.Verify):
            self.tell(m.Verified(effect.token, verify_checks(effect.checks)), machine)
        else:
            self.tell(m.Answered(effect.token, effect.question.answer(self.disk)), machine)
        return True

    def sync(self) -> bool:
        """The oldest write."""
        if not self.writes:
            return False
        machine, effect = self.writes.popleft()
        self.disk.append(effect.writes, marked=effect.marked)
        self.disk.sync()
        if machine is self.machine:
            for send in self.held.pop(effect.token):
                self._send(send.to, send.message)
        self.tell(m.Persisted(effect.token), machine)
        return True

    # ---- what people ask ----

    def begin(self, genesis: Genesis) -> int:
        self.follow(genesis.stream)
        return self._ask(q.Begin(self._request(), genesis))

    def create(self, genesis: Genesis) -> None:
        """Of which it is the only owner."""
        wish = Create(self._request(), genesis, int(START_S * 1000))
        self.tell(m.Requested(wish), self.book)
        self.book.accept(genesis.stream)

    def write(self, stream: StreamId, *said: str | LargeContent) -> int:
        contents = [each.encode() if isinstance(each, str) else each for each in said]
        entries = tuple([NewEntry("note", content) for content in contents])
        return self._ask(q.Write(self._request(), stream, entries))

    def _request(self) -> int:
        self.requests += 1
        return self.requests

    def _ask(self, wish: q.Begin | q.Write) -> int:
        self.tell(m.Requested(wish))
        return wish.request

    def outcome(self, request: int) -> q.Done | q.Failed | None:
        for finding in self.found:
            if isinstance(finding, q.Done | q.Failed) and finding.request == request:
                return finding
        return None

    def resolve(self, resolution: Resolution) -> None:
        """It is durable, as it is before a book hears of it."""
        self.disk.append([put_resolution(resolution)])
        self.disk.sync()
        self.tell(m.Requested(ResolveStream(resolution)), self.book)

    # ---- its log ----

    def length(self, stream: StreamId) -> int:
        return self.book.length(stream)

    def leaves(self, stream: StreamId) -> list[bytes]:
        return read_leaves(self.disk, stream, 0, self.length(stream))

    def authors(self, stream: StreamId) -> list[bytes]:
        return [read_header(leaf).author for leaf in self.leaves(stream)[1:]]

    def learn_from(self, other: "Member", stream: StreamId) -> None:
        """As replication does, from what is durable there."""
        state = other.book.logs.get(stream)
        if state is not None and state.length > self.length(stream):
            segments = make_segments(other.disk, state, self.length(stream), state.length)
            for segment in segments:
                self.tell(m.Received(other.id, OfferedSegment(segment)), self.book)


class Town:
    """Links are on unless taken down."""

    def __init__(self, *members: Member, stream: StreamId) -> None:
        self.members = {member.id: member for member in members}
        self.stream = stream
        self.wires: dict[tuple[m.PeerId, m.PeerId], deque[bytes]] = {}
        self.now = 0.0
        for one, other in combinations(self.members, 2):
            self.connect(one, other)

    def connect(self, one: m.PeerId, other: m.PeerId) -> None:
        if (one, other) not in self.wires:
            self.wires[one, other], self.wires[other, one] = deque(), deque()
            self.members[one].tell(m.Connected(other, outgoing=True))
            self.members[other].tell(m.Connected(one, outgoing=False))

    def cut(self, one: m.PeerId, other: m.PeerId) -> None:
        """With what is under way."""
        if (one, other) in self.wires:
            del self.wires[one, other], self.wires[other, one]
            self.members[one].tell(m.Disconnected(other))
            self.members[other].tell(m.Disconnected(one))

    def restart(self, who: Member) -> None:
        for other in self.members:
            if other != who.id:
                self.cut(who.id, other)
        who.restart()

    def reconnect(self) -> None:
        for one, other in combinations(self.members, 2):
            self.connect(one, other)

    def collect(self) -> None:
        """What members have said goes onto the wires that are there."""
        for member in self.members.values():
            while member.out:
                to, data = member.out.popleft()
                if (member.id, to) in self.wires:
                    self.wires[member.id, to].append(data)

    def deliver(self, sender: m.PeerId, to: m.PeerId) -> bool:
        wire = self.wires.get((sender, to))
        if not wire:
            return False
        message = packets.read_message(wire.popleft())
        self.members[to].tell(m.Received(sender, message))
        return True

    def replicate(self) -> None:
        for one in self.members.values():
            for other in self.members.values():
                if one is not other and self.stream in one.followed:
                    one.learn_from(other, self.stream)

    def settle(self) -> None:
        """Until nothing moves any more, without a timer."""
        moved = True
        while moved:
            self.replicate()
            worked = [member.do_work() for member in self.members.values()]
            synced = [member.sync() for member in self.members.values()]
            self.collect()
            delivered = [self.deliver(*pair) for pair in list(self.wires)]
            moved = any([*worked, *synced, *delivered])

    def tick(self) -> None:
        """To the next timer, if there is one."""
        alarms = [at for member in self.members.values() for at in member.alarms.values()]
        if min(alarms, default=math.inf) == math.inf:
            return
        self.now = max(self.now, min(alarms))
        for member in self.members.values():
            member.now = self.now
            for name, at in list(member.alarms.items()):
                if at <= self.now:
                    del member.alarms[name]
                    member.tell(m.TimerFired(name))

    def live(self, rounds: int = 6) -> None:
        for _ in range(rounds):
            self.settle()
            self.tick()
        self.settle()
