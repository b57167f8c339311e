"""An owner's part: sign what the sequencer proposes, and never two things that can't both be
continued (spec/sequencing.md 4).
"""

from functools import partial

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import Desk
from qbix_node.sequencing.judging import Verdict, judge
from qbix_node.sequencing.recalling import Recaller
from qbix_node.sequencing.records import Signed, put_signed
from qbix_node.streams.genesis import Genesis, read_genesis
from qbix_node.streams.owners import AuthorId
from qbix_node.wire.references import StreamId

EARLY_MAX = 64  # streams of which a proposal waits for entries; the oldest makes room


class Cosigner:
    def __init__(self, desk: Desk, recaller: Recaller) -> None:
        self._desk = desk
        self._recaller = recaller
        self._busy: set[StreamId] = set()  # never gone through
        self._early: dict[StreamId, tuple[m.PeerId, q.Propose]] = {}
        self._refused: dict[StreamId, q.Refused] = {}  # the newest of each

    def hear(self, peer: m.PeerId, said: q.Propose) -> None:
        desk, stream = self._desk, said.head.stream
        # SPEC sequencing 4: whose people don't follow the stream have not agreed to sign for it.
        genesis = desk.geneses.get(stream) or _begun(said) if desk.replicates(stream) else None
        owner = genesis.owners.index(desk.author) if genesis else None
        if genesis is None or owner is None or AuthorId(peer) != genesis.sequencer:
            return
        if reason := desk.why_not(stream, genesis):
            self._refuse(peer, said, reason)
        elif desk.signed.get(stream) == Signed(said.head.length, said.head.root):
            self._sign_again(peer, said, owner)
        elif waits := desk.book.why_wait(stream):
            desk.send(peer, q.Refused(*said.head.identity, waits))  # for now: it is not kept
        elif (known := self._refused.get(stream)) and known.identity == said.head.identity:
            desk.send(peer, known)
        elif self._must_wait(said):
            self._wait(peer, said)
        elif said.first == desk.length(stream):
            self._judge(peer, said, genesis, owner)

    def _sign_again(self, peer: m.PeerId, said: q.Propose, owner: int) -> None:
        if self._desk.peers[peer].may_cost(1, self._desk.now):
            after = self._desk.signing_of(said.head.stream)
            self._desk.send(peer, self._signature(said, owner), after=after)

    def _must_wait(self, said: q.Propose) -> bool:
        desk, stream = self._desk, said.head.stream
        state = desk.logs.get(stream)
        if stream in self._busy or desk.behind(stream) or said.first > desk.length(stream):
            return True
        if state is None:
            return False
        return bool(state.frontier) or not self._recaller.knows(stream)

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
        if desk.peers[peer].may_cost(len(said.leaves) + 1, desk.now):
            self._busy.add(stream)
            judge(desk, said, genesis, partial(self._judged, peer, said, genesis, owner))

    def _judged(
        self, peer: m.PeerId, said: q.Propose, genesis: Genesis, owner: int, verdict: Verdict
    ) -> None:
        desk, stream = self._desk, said.head.stream
        if verdict.moved or desk.book.why_wait(stream):
            self._wait(peer, said)
        elif verdict.reason is not None:
            self._refuse(peer, said, verdict.reason)
        elif desk.why_not(stream, genesis) is None and desk.replicates(stream):
            self._sign(peer, said, genesis, owner)
        self._busy.discard(stream)
        self.grew(stream)

    def _sign(self, peer: m.PeerId, said: q.Propose, genesis: Genesis, owner: int) -> None:
        """SPEC sequencing 4: what this node has signed is durable before it leaves."""
        desk, head = self._desk, said.head
        signed = desk.signed[head.stream] = Signed(head.length, head.root)
        signature = self._signature(said, owner)
        kept = self._recaller.keep_own(said, signature)
        told = partial(desk.emit, q.CoSigned(head.stream, head.length))
        token = desk.persist(put_signed(head.stream, signed), kept, then=told, marked=True)
        desk.signing[head.stream] = token
        desk.send(peer, signature, after=token)
        self._recaller.tell_others(genesis, signature, said, after=token)

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


def _begun(said: q.Propose) -> Genesis | None:
    """That of a stream which is not here yet."""
    if said.first:
        return None
    try:
        genesis = read_genesis(said.leaves[0])
    except Malformed:
        return None
    return genesis if genesis.stream == said.head.stream else None
