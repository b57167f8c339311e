"""What a node says to peers about streams, in the words of its machines."""

from collections.abc import Iterator
from typing import ClassVar

from netsim import facts
from netsim.checks.check import Check, Facts, Report, View
from netsim.plan import Do, Operation
from qbix_node.gossip import messages as g
from qbix_node.machines import PeerId
from qbix_node.replication.messages import REFUSED, EbtNotes, Range
from qbix_node.streams.forks import fork_id, read_fork
from qbix_node.streams.messages import Head
from qbix_node.wire.references import StreamId

# Who makes a stream follows it, if others own it, too.
_CHOICES = (Do.CREATE_STREAM, Do.FOLLOW_STREAM, Do.FOLLOW_HEADERS, Do.UNFOLLOW_STREAM)
_FOLLOW, _GENESIS, _PROOF = b"r/s", b"s/g", b"s/x"


class HeadsBacked(Check):
    """Notes and Heads say no more than the disk holds; of streams of others a node may tell Heads
    that it only heard of.
    """

    name = "nothing is said of a stream before it is durable"
    guards = (
        "spec/streams.md 10: A Head leaves the node only when the batch with its entries is"
        " durable; spec/gossip.md 6: One of a stream that is here, be it with entries or by its"
        " Head only, is made durable"
    )
    watches: ClassVar[Facts] = (facts.SaidOfStreams,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.SaidOfStreams)
        match fact.message:
            case EbtNotes(notes):
                for stream, note in notes.items():
                    if note > 1:
                        self._length(node, StreamId(stream), note >> 1)
            case Range(stream, _, last):
                self._length(node, StreamId(stream), last)
            case g.Heads(heads):
                for shown in heads:
                    self._head(node, shown.head)
            case g.Compare(_, shown) | g.Shorter(_, shown) | g.Continues(_, shown):
                self._covered(node, shown.head.stream, shown.head.length)
            case g.Proofs(proofs):
                for proof in proofs:
                    self._proof(node, proof)
            case _:
                pass

    def _head(self, node: int, head: Head) -> None:
        owner = self.view.honest_owner(head.stream)
        if owner is not None and owner.number == node:
            self._length(node, head.stream, head.length)

    def _length(self, node: int, stream: StreamId, length: int) -> None:
        has = self.view.branches.length(node, stream)
        if length > has:
            name = self.view.name_stream(stream)
            self.violated(node, f"it says to have {length} entries of {name}, and has {has}")

    def _covered(self, node: int, stream: StreamId, length: int) -> None:
        """Its own Head, which may go beyond its entries."""
        log = self.view.branches.record(node, stream)
        if log is None or length > log.head[0]:
            name = self.view.name_stream(stream)
            self.violated(node, f"its Head of {name} at {length} is not durable")

    def _proof(self, node: int, proof: bytes) -> None:
        fork = read_fork(proof)
        key = _PROOF + fork.stream + fork_id(proof)
        disk = self.view.honest[node].disk
        if disk.get(_GENESIS + fork.stream) is not None and disk.get(key) != proof:
            name = self.view.name_stream(fork.stream)
            self.violated(node, f"a proof about {name} is told that is not durable")


class ReadersOnly(Check):
    """Before the genesis is here nobody knows who may read a stream."""

    name = "a private stream is for its readers only"
    guards = (
        "spec/replication.md 10: to who may not read a stream, a node behaves as if it did not"
        " replicate it. Before the genesis is here nobody knows who may"
    )
    watches: ClassVar[Facts] = (facts.SaidOfStreams,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, facts.SaidOfStreams)
        to = self.view.numbers.get(fact.to)
        for stream in told_of(fact.message):
            planned = self.view.world.streams.by_id.get(stream)
            if planned is None or (to is not None and planned.may_read(to)):
                continue
            if planned.parity is None:
                continue
            if self.view.honest[node].disk.get(_GENESIS + stream) is not None:
                name = self.view.name_stream(stream)
                self.violated(node, f"{self.view.name(fact.to)} hears of {name}")


class OnlyFollowedStreams(Check):
    """As with feeds: follows hold at once, so what was asked last in this life counts."""

    name = "only replicated streams are announced and served"
    guards = (
        "spec/replication.md 10: What is replicated: the streams that the node owns and those that"
        " its operator follows."
    )
    watches: ClassVar[Facts] = (facts.Asked, facts.SaidOfStreams, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._asked: dict[int, dict[StreamId, bool]] = {}

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Started():
                self._asked.pop(node, None)
            case facts.Asked(Operation(do=do) as asked) if do in _CHOICES:
                if self.view.hears(node):
                    stream = self.view.world.streams.about(asked).id
                    follows = asked.do is not Do.UNFOLLOW_STREAM
                    self._asked.setdefault(node, {})[stream] = follows
            case facts.SaidOfStreams(to, EbtNotes() | Range() as message):
                for stream in told_of(message):
                    self._look(node, to, stream)
            case _:
                pass

    def _look(self, node: int, to: PeerId, stream: StreamId) -> None:
        followed = self._asked.get(node, {}).get(stream)
        if followed is None:
            followed = self.view.honest[node].disk.get(_FOLLOW + stream) is not None
        owner = self.view.honest_owner(stream)
        if not followed and (owner is None or owner.number != node):
            self.violated(node, f"{self.view.name(to)} hears of {self.view.name_stream(stream)}")


def told_of(message: object) -> Iterator[StreamId]:
    """The streams that it says something of."""
    match message:
        case EbtNotes(notes):
            yield from [StreamId(stream) for stream, note in notes.items() if note != REFUSED]
        case Range(stream):
            yield StreamId(stream)
        case g.Heads(heads):
            yield from [shown.head.stream for shown in heads]
        case g.Compare(_, shown) | g.Shorter(_, shown) | g.Continues(_, shown):
            yield shown.head.stream
        case g.Proofs(proofs):
            yield from [read_fork(proof).stream for proof in proofs]
        case _:
            pass


STREAM_SPEECH_CHECKS = (HeadsBacked, ReadersOnly, OnlyFollowedStreams)
