"""Decide what is put into streams of several owners and of further writers, and what this node
signs together with others (spec/sequencing.md).

A Sequencer reads the logs that a StreamBook keeps and never changes them: a run that enough owners
have signed is found (Completed), and whoever runs it takes it into the log as any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.choosing import Choices, Chooser
from qbix_node.sequencing.cosigning import Cosigner
from qbix_node.sequencing.desk import Book, Desk, Peer
from qbix_node.sequencing.proposals import Proposal
from qbix_node.sequencing.proposing import Proposer
from qbix_node.sequencing.recalling import Recaller, Votes
from qbix_node.sequencing.records import Run, Signed
from qbix_node.sequencing.withdrawing import Withdrawn
from qbix_node.sequencing.writing import Writer
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.records import AuthorState
from qbix_node.wire.references import StreamId

ROUND_S = 2.0
ROUND_SPREAD = 0.25  # of that, more or less

_ROUND = "sequencing/round"


@dataclass(slots=True)
class Kept:
    """What the store holds of it."""

    runs: dict[StreamId, Run] = field(default_factory=dict)
    signed: dict[StreamId, Signed] = field(default_factory=dict)
    written: dict[StreamId, AuthorState] = field(default_factory=dict)
    votes: Votes = field(default_factory=dict)
    choices: Choices = field(default_factory=dict)


class Sequencer:
    """`epoch_s`: the time since 1970 when `now` was 0."""

    def __init__(self, keys: KeyPair, book: Book, kept: Kept, *, epoch_s: float) -> None:
        self._desk = Desk(keys, book, kept.signed, epoch_s)
        self._recaller = Recaller(self._desk, kept.votes, adopt=self._adopt, go_on=self._may_go_on)
        self._proposer = Proposer(self._desk, kept.runs, self._recaller, self._tell_here)
        self._gatherer = self._proposer.gatherer
        self._cosigner = Cosigner(self._desk, self._recaller)
        self._writer = Writer(
            self._desk, kept.written, self._recaller.knows, self._gatherer.hear_intent
        )
        self._chooser = Chooser(self._desk, kept.choices)
        self._ticking = False

    @property
    def choices(self) -> Choices:
        """Which branches of forks owners have chosen, by owner; of streams that go on, too."""
        return self._chooser.choices

    @property
    def proposals(self) -> Mapping[StreamId, Proposal]:
        """Of this node, not in the log yet."""
        return self._proposer.proposals

    @property
    def signed(self) -> Mapping[StreamId, Signed]:
        """The newest Head of each stream that this node has signed together with others."""
        return self._desk.signed

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        desk = self._desk
        desk.now = now
        match event:
            case m.Received(peer, message) if peer in desk.peers and not desk.peers[peer].lies:
                self._hear(peer, message)
            case m.Connected(peer):
                desk.peers[peer] = Peer(since=now)
                self._proposer.greet(peer)
                self._writer.greet(peer)
                self._recaller.greet(peer)
                self._chooser.greet(peer)
            case m.Disconnected(peer):
                desk.peers.pop(peer, None)
            case m.Requested(request):
                self._requested(request)
            case m.Answered() | m.Verified() | m.Persisted():
                desk.go_on(event)
            case m.TimerFired(name) if name == _ROUND:
                self._ticking = False
                self._proposer.round()
                self._recaller.round()
            case _:
                pass
        if (self.proposals or self._recaller.asks) and not self._ticking:
            self._ticking = True
            spread = 1 + ROUND_SPREAD * (2 * rng.random() - 1)
            desk.effects.append(m.SetTimer(_ROUND, now + ROUND_S * spread))
        effects, desk.effects = tuple(desk.effects), []
        return effects

    def _hear(self, peer: m.PeerId, message: object) -> None:
        match message:
            case q.Intent():
                self._gatherer.hear_intent(peer, message)
            case q.Signature():
                self._proposer.hear_signature(peer, message)
            case q.Refused():
                self._proposer.hear_refused(peer, message)
            case q.Propose():
                self._cosigner.hear(peer, message)
            case q.Recall():
                self._recaller.hear_recall(peer, message)
            case q.Votes():
                self._recaller.hear_votes(peer, message)
            case q.Choice():
                self._chooser.hear(peer, message)
            case q.Placed() | q.Declined():
                self._writer.hear(peer, message)
            case _:
                pass

    def _requested(self, request: object) -> None:
        match request:
            case q.Start():
                self._proposer.start()
                self._chooser.start()
            case q.Begin():
                self._proposer.begin(request)
            case q.Write():
                self._writer.write(request)
            case q.Choose():
                self._chooser.choose(request)
            case q.GiveUp(number):
                self._writer.give_up(number)
            case Withdrawn():
                self._withdrawn(request)
            case q.Grew(stream):
                self._recaller.grew(stream)
                self._proposer.grew(stream)
                self._cosigner.grew(stream)
                self._writer.grew(request)
            case _:
                pass

    def _withdrawn(self, found: Withdrawn) -> None:
        desk, stream = self._desk, found.stream
        if found.signed is not None and desk.signed.get(stream) == found.signed:
            del desk.signed[stream]
            self._cosigner.forget(stream)
        if found.proposed is not None:
            self._proposer.forget(stream, found.proposed)

    def _adopt(self, said: q.Propose, genesis: Genesis) -> None:
        self._proposer.adopt(said, genesis, self._writer.recall(said))

    def _may_go_on(self, stream: StreamId) -> None:
        self._writer.begin_next(stream)
        self._gatherer.draw(stream)
        self._cosigner.grew(stream)

    def unheard(self, stream: StreamId) -> list[int]:
        """Owners for whose word on what they have signed this node waits."""
        return self._recaller.unheard(stream)

    def _tell_here(self, message: q.Placed | q.Declined) -> None:
        self._writer.hear(self._desk.me, message)
