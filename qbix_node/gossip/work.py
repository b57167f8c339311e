"""Slow work of a Gossiper that is under way: what it is about."""

from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.gossip.peers import Listener
from qbix_node.streams.forks import ShownHead, StreamFork, encode_fork
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash, Prefix, lead
from qbix_node.wire.references import StreamId

WORK_MAX = 1024  # pieces under way; what is more is passed over


@dataclass(frozen=True, slots=True)
class Claim:
    """That a Head is the owners' word, and what the first leaves under it are. `peer`: who says
    so; None: it was here. `question`: its number, if this is a question that wants an answer.
    `end`: the peaks of the Head, if they are shown.
    """

    peer: m.PeerId | None
    shown: ShownHead
    prefix: Prefix
    question: int | None = None
    end: tuple[Hash, ...] = ()

    def checks(self, genesis: Genesis) -> tuple[m.SignatureCheck, ...]:
        """Raises Malformed."""
        if not self.prefix.leads_to(self.shown.head.root, self.shown.head.length):
            raise Malformed("what is shown of a log doesn't lead to the root of its Head")
        if self.end and lead(self.end, self.shown.head.length, (), self.shown.head.length) != (
            self.shown.head.root
        ):
            raise Malformed("the peaks that are shown of a Head are not those of its root")
        return self.shown.checks(genesis)


@dataclass(frozen=True, slots=True)
class Accused:
    """`peer`: who sent the proof, if a peer did."""

    peer: m.PeerId | None
    fork: StreamFork
    submitted: int | None = None  # names it for whoever had it at hand

    @property
    def stream(self) -> StreamId:
        return self.fork.stream

    @property
    def genesis(self) -> Genesis:
        return self.fork.genesis

    @property
    def encoded(self) -> bytes:
        return encode_fork(self.fork)


@dataclass(frozen=True, slots=True)
class Decided:
    """`peer`: who sent the Resolve, if a peer did."""

    peer: m.PeerId | None
    resolution: Resolution
    submitted: int | None = None

    @property
    def stream(self) -> StreamId:
        return self.resolution.stream

    @property
    def genesis(self) -> Genesis:
        return self.resolution.fork.genesis

    @property
    def encoded(self) -> bytes:
        return self.resolution.encoded


@dataclass(frozen=True, slots=True)
class Listening:
    """To a stream, or no longer; `number` names it for whoever asked for it, if anybody did."""

    number: int | None = None


Work = Claim | Accused | Decided | Listening


@dataclass(slots=True)
class Workbench:
    _tokens: m.Tokens = field(default_factory=m.Tokens)
    _work: dict[m.Token, Work] = field(default_factory=dict)

    def begin(self, work: Work) -> m.Token:
        token = self._tokens.new()
        self._work[token] = work
        return token

    def end(self, token: m.Token) -> Work | None:
        return self._work.pop(token, None)

    def questions_of(self, peer: m.PeerId) -> int:
        claims = [work for work in self._work.values() if isinstance(work, Claim)]
        return len([each for each in claims if each.peer == peer and each.question is not None])

    def verify(
        self, listener: Listener, work: Work, checks: tuple[m.SignatureCheck, ...], now: float
    ) -> m.Verify | None:
        """None: the peer has cost enough, or there is too much under way."""
        if len(self._work) >= WORK_MAX or not listener.may_cost(len(checks), now):
            return None
        return m.Verify(self.begin(work), checks)
