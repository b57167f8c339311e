"""An owner's part: sign what the sequencer proposes, and never two things that can't both be
continued (spec/sequencing.md 4).
"""

from dataclasses import dataclass
from functools import partial

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import Desk
from qbix_node.sequencing.records import Signed, put_signed
from qbix_node.streams.genesis import Genesis, read_genesis
from qbix_node.streams.growth import RESERVED_KINDS, Facts, Intents, Needs
from qbix_node.streams.line import FactsOf
from qbix_node.streams.messages import Header, read_header
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash
from qbix_node.wire.references import StreamId

EARLY_MAX = 64  # streams of which a proposal waits for entries; the oldest makes room


@dataclass(frozen=True, slots=True)
class _Judged:
    """A proposal, and what it was judged by."""

    peer: m.PeerId
    said: q.Propose
    genesis: Genesis
    owner: int  # the index of this node
    before: LogState | None
    headers: tuple[Header, ...]

    @property
    def stream(self) -> StreamId:
        return self.said.head.stream


class Cosigner:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._busy: set[StreamId] = set()  # never gone through
        self._early: dict[StreamId, tuple[m.PeerId, q.Propose]] = {}
        self._refused: dict[StreamId, q.Refused] = {}  # the newest of each
        self._writing: dict[StreamId, m.Token] = {}  # that this node signs, not durable yet

    def hear(self, peer: m.PeerId, said: q.Propose) -> None:
        desk, stream = self._desk, said.head.stream
        # SPEC sequencing 4: whose people don't follow the stream have not agreed to sign for it.
        if not desk.replicates(stream):
            return
        genesis = desk.geneses.get(stream) or _begun(said)
        if genesis is None:
            return
        owner = genesis.owners.index(desk.author)
        if owner is None or AuthorId(peer) != genesis.sequencer:
            return
        if reason := desk.why_not(stream, genesis):
            self._refuse(peer, said, reason)
        elif desk.signed.get(stream) == Signed(said.head.length, said.head.root):
            if desk.peers[peer].may_cost(1, desk.now):
                desk.send(peer, self._signature(said, owner), after=self._writing.get(stream))
        elif (known := self._refused.get(stream)) and known.identity == said.head.identity:
            desk.send(peer, known)
        elif self._must_wait(said):
            self._wait(peer, said)
        elif said.first == desk.length(stream):
            self._judge(peer, said, genesis, owner)

    def _must_wait(self, said: q.Propose) -> bool:
        desk, stream = self._desk, said.head.stream
        state = desk.logs.get(stream)
        if stream in self._busy or desk.behind(stream) or said.first > desk.length(stream):
            return True
        return state is not None and bool(state.frontier)

    def grew(self, stream: StreamId) -> None:
        """A proposal may have waited for that."""
        peer, said = self._early.pop(stream, (None, None))
        if peer in self._desk.peers and said is not None:
            self.hear(peer, said)

    def forget(self, stream: StreamId) -> None:
        """What was refused may be right now."""
        self._refused.pop(stream, None)

    def _wait(self, peer: m.PeerId, said: q.Propose) -> None:
        """For entries that replication brings, or for what is being judged."""
        self._early.pop(said.head.stream, None)
        while len(self._early) >= EARLY_MAX:
            del self._early[next(iter(self._early))]
        self._early[said.head.stream] = peer, said

    def _judge(self, peer: m.PeerId, said: q.Propose, genesis: Genesis, owner: int) -> None:
        desk, stream = self._desk, said.head.stream
        if not desk.peers[peer].may_cost(len(said.leaves) + 1, desk.now):
            return
        try:
            headers = _headers(said)
        except Malformed as error:
            self._refuse(peer, said, str(error))
            return
        state, signed = desk.logs.get(stream), desk.must_continue(stream)
        length = state.length if state else 0
        bases = [header.base_length for header in headers if header.base_length <= length]
        if signed is not None and signed.length <= length:
            bases.append(signed.length)
        authors = dict.fromkeys([header.author for header in headers])
        needs = Needs(tuple(authors), tuple(dict.fromkeys(bases)))
        judged = _Judged(peer, said, genesis, owner, state, headers)
        self._busy.add(stream)
        desk.learn(FactsOf(stream, needs, length), partial(self._learned, judged))

    def _learned(self, judged: _Judged, facts: Facts) -> None:
        if self._desk.logs.get(judged.stream) != judged.before:
            self._wait(judged.peer, judged.said)
            self._free(judged.stream)
            return
        try:
            checks = self._checks(judged, facts)
        except Malformed as error:
            self._refuse(judged.peer, judged.said, str(error))
            self._free(judged.stream)
            return
        self._desk.verify(checks, partial(self._verified, judged))

    def _checks(self, judged: _Judged, facts: Facts) -> tuple[m.SignatureCheck, ...]:
        """What is left to check once all else is right. Raises Malformed."""
        said, before = judged.said, judged.before
        roots = _roots(before, said)
        if roots[said.head.length] != said.head.root:
            raise Malformed("its root is not that of the leaves")
        signed = self._desk.must_continue(judged.stream)
        if signed is not None:
            root = roots.get(signed.length) or facts.roots.get(signed.length)
            if root != signed.root:
                raise Malformed("this owner has signed something that it does not continue")
        intents = Intents(dict(facts.authors), dict(facts.roots))
        intents.check(list(judged.headers), judged.genesis.owners.only, before, said.leaves)
        return intents.checks

    def _verified(self, judged: _Judged, oks: tuple[bool, ...]) -> None:
        desk, said, stream = self._desk, judged.said, judged.stream
        if not all(oks):
            self._refuse(judged.peer, said, "an author's signature does not match")
        elif desk.logs.get(stream) != judged.before or desk.behind(stream):
            self._wait(judged.peer, said)
        elif desk.why_not(stream, judged.genesis) is None and desk.replicates(stream):
            self._sign(judged)
        self._free(stream)

    def _sign(self, judged: _Judged) -> None:
        """SPEC sequencing 4: what this node has signed is durable before it leaves."""
        desk, head = self._desk, judged.said.head
        signed = desk.signed[head.stream] = Signed(head.length, head.root)
        written = partial(self._written, q.CoSigned(head.stream, head.length))
        token = desk.persist(put_signed(head.stream, signed), then=written, marked=True)
        self._writing[head.stream] = token
        desk.send(judged.peer, self._signature(judged.said, judged.owner), after=token)

    def _written(self, signed: q.CoSigned) -> None:
        self._writing.pop(signed.stream, None)
        self._desk.emit(signed)

    def _signature(self, said: q.Propose, owner: int) -> q.Signature:
        head = said.head
        return q.Signature(*head.identity, owner, self._desk.keys.sign(head.body))

    def _refuse(self, peer: m.PeerId, said: q.Propose, reason: str) -> None:
        desk, stream = self._desk, said.head.stream
        refused = q.Refused(*said.head.identity, reason)
        if self._refused.get(stream) != refused:
            self._refused[stream] = refused
            desk.emit(q.CoSigningRefused(stream, said.head.length, reason))
        if peer in desk.peers:
            desk.send(peer, refused)

    def _free(self, stream: StreamId) -> None:
        self._busy.discard(stream)
        self.grew(stream)


def _begun(said: q.Propose) -> Genesis | None:
    """That of a stream which is not here yet."""
    if said.first:
        return None
    try:
        genesis = read_genesis(said.leaves[0])
    except Malformed:
        return None
    return genesis if genesis.stream == said.head.stream else None


def _headers(said: q.Propose) -> tuple[Header, ...]:
    """Of the leaves without the genesis. Raises Malformed."""
    headers = []
    for place, leaf in enumerate(said.leaves, said.first):
        if place:
            header = read_header(leaf)
            if (header.place, header.stream) != (place, said.head.stream):
                raise Malformed(f"entry {place}: its header is for another place")
            if header.kind in RESERVED_KINDS:
                raise Malformed(f"entry {place}: {header.kind} is reserved")
            headers.append(header)
    return tuple(headers)


def _roots(before: LogState | None, said: q.Propose) -> dict[int, Hash]:
    """Of every length that the proposal leads to."""
    peaks: tuple[Hash, ...] = before.peaks if before else ()
    found = {}
    for length, leaf in enumerate(said.leaves, said.first):
        peaks, _ = grow(peaks, length, [leaf_hash(leaf)])
        found[length + 1] = bag(peaks)
    return found
