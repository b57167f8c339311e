"""What the parts of a Sequencer share: the logs that it reads, peers, and work under way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.records import Signed
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.growth import Facts
from qbix_node.streams.liars import LiarFound
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState
from qbix_node.streams.switching import Switching
from qbix_node.wire.references import StreamId

NO_LOG = "the branch of that stream that its owners chose is not here yet"
CHECKS_BURST = 256  # signatures that are checked for a peer at once
CHECKS_A_SECOND = 64

Checked = Callable[[tuple[bool, ...]], None]


class Stands(NamedTuple):
    """An intent in a log."""

    place: int
    author_sig: bytes


@dataclass(slots=True)
class Peer:
    since: float  # when its allowance was last filled up
    lies: bool = False  # it is not listened to any more
    _checks: float = CHECKS_BURST

    def may_cost(self, checks: int, now: float) -> bool:
        filled = self._checks + CHECKS_A_SECOND * max(0.0, now - self.since)
        self._checks, self.since = min(filled, CHECKS_BURST), now
        if self._checks < checks:
            return False
        self._checks -= checks
        return True


@dataclass(frozen=True, slots=True)
class Book:
    """As a StreamBook keeps it. `replicates`: whether the people here follow or own the stream.
    `switching`: to branches that owners chose. `why_wait`: why its only owner, this node, appends
    nothing for now.
    """

    geneses: Mapping[StreamId, Genesis]
    logs: Mapping[StreamId, LogState]
    stopped: Mapping[StreamId, str]
    replicates: Callable[[StreamId], bool]
    switching: Switching
    why_wait: Callable[[StreamId], str | None] = lambda stream: None


@dataclass(slots=True)
class Desk:
    """`epoch_s`: the time since 1970 when `now` was 0."""

    keys: KeyPair
    book: Book
    signed: dict[StreamId, Signed]
    epoch_s: float = 0.0
    now: float = 0.0
    peers: dict[m.PeerId, Peer] = field(default_factory=dict)
    effects: list[m.Effect] = field(default_factory=list)
    signing: dict[StreamId, m.Token] = field(default_factory=dict)  # the last write of each
    _tokens: m.Tokens = field(default_factory=m.Tokens)
    _facts: dict[m.Token, Callable[[Facts], None]] = field(default_factory=dict)
    _places: dict[m.Token, Callable[[Mapping[int, Stands]], None]] = field(default_factory=dict)
    _checks: dict[m.Token, Checked] = field(default_factory=dict)
    _writes: dict[m.Token, Callable[[], None]] = field(default_factory=dict)

    @property
    def me(self) -> m.PeerId:
        return m.PeerId(self.keys.public)

    @property
    def author(self) -> AuthorId:
        """The same key, where it signs."""
        return AuthorId(self.keys.public)

    @property
    def geneses(self) -> Mapping[StreamId, Genesis]:
        return self.book.geneses

    @property
    def logs(self) -> Mapping[StreamId, LogState]:
        return self.book.logs

    def why_wait(self, stream: StreamId) -> str | None:
        return NO_LOG if self.behind(stream) else self.book.why_wait(stream)

    def behind(self, stream: StreamId) -> bool:
        """Whether the log here does not show that it is on the branch that its owners chose: until
        then nothing of it is signed, nor what was proposed is offered.
        """
        return self.book.switching.behind(stream)

    def must_continue(self, stream: StreamId) -> Signed | None:
        """SPEC sequencing 4: where owners chose a branch, Heads up to fork_length don't count."""
        signed, resolution = self.signed.get(stream), self.book.switching.resolutions.get(stream)
        if signed and resolution and signed.length <= resolution.fork_length:
            return None
        return signed

    def signing_of(self, stream: StreamId) -> m.Token | None:
        """The write of what this node signed last, while it is under way."""
        token = self.signing.get(stream)
        return token if token in self._writes else None

    def has_resolution(self, stream: StreamId) -> bool:
        return stream in self.book.switching.resolutions

    def replicates(self, stream: StreamId) -> bool:
        return self.book.replicates(stream)

    @property
    def wall_ms(self) -> int:
        return int(1000 * (self.epoch_s + self.now))

    def length(self, stream: StreamId) -> int:
        state = self.logs.get(stream)
        return state.length if state else 0

    def why_not(self, stream: StreamId, genesis: Genesis) -> str | None:
        """Why nothing of that stream is signed together."""
        state = self.logs.get(stream)
        if reason := self.book.stopped.get(stream):
            return reason
        if genesis.uniqueness is Uniqueness.WATCHED:
            return "the owners of a watched stream sign no Heads"
        if not genesis.sequenced:
            return "nobody puts together what comes next in that stream"
        if state is not None and state.owners != genesis.owners:
            return "the owners of that stream have changed"
        return None

    # ---- effects, and what is done when they are answered ----

    def emit(self, finding: object) -> None:
        self.effects.append(m.Emit(finding))

    def disbelieve(self, peer: m.PeerId, reason: str) -> None:
        if (here := self.peers.get(peer)) and not here.lies:
            here.lies = True
            self.emit(LiarFound(peer, reason))

    def send(self, to: m.PeerId, message: q.Message, *, after: m.Token | None = None) -> None:
        self.effects.append(m.Send(to, message, after))

    def learn(self, question: m.Question, then: Callable[[Facts], None]) -> None:
        token = self._tokens.new()
        self._facts[token] = then
        self.effects.append(m.Ask(token, question))

    def look_up(self, question: m.Question, then: Callable[[Mapping[int, Stands]], None]) -> None:
        token = self._tokens.new()
        self._places[token] = then
        self.effects.append(m.Ask(token, question))

    def verify(self, checks: tuple[m.SignatureCheck, ...], then: Checked) -> None:
        token = self._tokens.new()
        self._checks[token] = then
        self.effects.append(m.Verify(token, checks))

    def persist(self, *writes: m.Write, then: Callable[[], None], marked: bool = False) -> m.Token:
        """`marked`: where this node signs."""
        token = self._tokens.new()
        self._writes[token] = then
        self.effects.append(m.Persist(token, writes, marked))
        return token

    def go_on(self, event: m.Answered | m.Verified | m.Persisted) -> None:
        """Repeats, and what is meant for others, are passed over."""
        match event:
            case m.Answered(token, Facts() as facts) if then := self._facts.pop(token, None):
                then(facts)
            case m.Answered(token, dict() as places) if found := self._places.pop(token, None):
                found(places)
            case m.Verified(token, oks) if checked := self._checks.pop(token, None):
                checked(oks)
            case m.Persisted(token) if saved := self._writes.pop(token, None):
                saved()
            case _:
                pass
