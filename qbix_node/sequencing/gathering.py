"""The sequencer's part, first: gather entries and put them into a run
(spec/sequencing.md 2, 3).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import NO_LOG, Desk
from qbix_node.sequencing.proposals import Proposal
from qbix_node.sequencing.queue import Asker, Queue, Waiting
from qbix_node.sequencing.records import Run
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import RESERVED_KINDS, Facts, Intents, Needs
from qbix_node.streams.line import FactsOf
from qbix_node.streams.messages import CONTENT_BYTES_MAX, Head, Header
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import LENGTH_MAX, bag, grow, leaf_hash
from qbix_node.wire.references import StreamId

WAITING_BYTES_MAX = 64 * 1024 * 1024  # in all streams together, of who doesn't own them
CHECKING_MAX = 1024  # entries whose signatures are being checked
AHEAD_MS = 10 * 60 * 1000  # by which an author's clock may go before ours

NOT_HERE = "this node does not put entries into that stream"  # also to who may not read it
OTHER_LOG = "the sequencer has signed another log of that stream than the one that it has"
TOO_MUCH = "too much waits at this node already"


class Gatherer:
    """`proposals`: what is proposed already. `knows`: whether this node may sign what is new;
    `propose`: a run of what has waited. `tell_here`: what became of an entry of this node.
    """

    def __init__(
        self,
        desk: Desk,
        proposals: Mapping[StreamId, Proposal],
        *,
        knows: Callable[[StreamId], bool],
        propose: Callable[[Proposal], None],
        tell_here: Callable[[q.Placed | q.Declined], None],
    ) -> None:
        self._desk = desk
        self._proposals = proposals
        self._knows = knows
        self._propose = propose
        self._tell_here = tell_here
        self._queues: dict[StreamId, Queue] = {}
        self._drawing: set[StreamId] = set()  # facts are looked up; never gone through
        self._checking = 0

    # ---- what writers hand in ----

    def hear_intent(self, peer: m.PeerId, said: q.Intent) -> None:
        """Of a peer, or with the key of this node in the peer's place, of the people here."""
        desk, asker = self._desk, Asker(peer, said.number)
        waiting = Waiting(said.header, said.content, asker)
        if declined := self._why_decline(waiting):
            self.tell(asker, declined)
        elif peer == desk.me:
            self._take(waiting)
        elif self._checking >= CHECKING_MAX or not desk.peers[peer].may_cost(1, desk.now):
            self.tell(asker, q.Declined(said.number, TOO_MUCH, later=True))
        else:
            check = said.header.check()
            assert check is not None  # they are read with one only
            self._checking += 1
            desk.verify((check,), partial(self._checked, waiting))

    def _why_decline(self, waiting: Waiting) -> q.Declined | None:
        """Before its signature is looked at, and again after."""
        number = waiting.asker.number
        if never := self._why_never(waiting):
            return q.Declined(number, never)
        if full := self._why_not_now(waiting):
            return q.Declined(number, full, later=True)
        return None

    def _why_never(self, waiting: Waiting) -> str | None:
        desk, header, peer = self._desk, waiting.header, waiting.asker.peer
        stream, genesis = header.stream, desk.geneses.get(header.stream)
        if genesis is None or genesis.sequencer != desk.author or not genesis.may_read(peer):
            return NOT_HERE
        if not desk.replicates(stream):
            return NOT_HERE
        if reason := self._why_ended(stream, genesis):
            return reason
        if m.PeerId(header.author) != peer:
            return "authors hand in their entries themselves"
        if not genesis.may_write(peer):
            return "this author is neither an owner nor among the writers of that stream"
        if header.kind in RESERVED_KINDS:
            return f"entries of kind {header.kind} are not taken: it is reserved"
        if waiting.content is None and header.content_size <= CONTENT_BYTES_MAX:
            return "its content is missing"
        if header.timestamp_ms > desk.wall_ms + AHEAD_MS:
            return "its time lies in the future"
        return None

    def _why_ended(self, stream: StreamId, genesis: Genesis) -> str | None:
        proposal = self._proposals.get(stream)
        if proposal is not None and proposal.barred:
            return OTHER_LOG
        return self._desk.why_not(stream, genesis)

    def _why_not_now(self, waiting: Waiting) -> str | None:
        desk, header = self._desk, waiting.header
        if header.base_length > desk.length(header.stream):
            return "its author has seen more of the stream than is here"
        waiting = self._attributed(waiting)
        if not waiting.owner:
            every = sum([each.bytes for each in self._queues.values()])
            if every + waiting.bytes > WAITING_BYTES_MAX:
                return TOO_MUCH
        return self._queues.get(header.stream, Queue()).why_full(waiting)

    def _asked_again(self, waiting: Waiting) -> bool:
        """Whether this entry is on its way already; whoever asked last is told."""
        header, stream = waiting.header, waiting.header.stream
        if header.author_sig is None:
            return False
        queue, proposal = self._queues.get(stream), self._proposals.get(stream)
        return bool(
            (queue is not None and queue.replace(waiting))
            or (proposal is not None and proposal.replace(waiting))
        )

    def _checked(self, waiting: Waiting, oks: tuple[bool, ...]) -> None:
        self._checking -= 1
        number = waiting.asker.number
        if not all(oks):
            self.tell(waiting.asker, q.Declined(number, "its signature does not match"))
        elif declined := self._why_decline(waiting):
            self.tell(waiting.asker, declined)
        elif not self._asked_again(waiting):
            self._take(waiting)

    def _take(self, waiting: Waiting) -> None:
        stream = waiting.header.stream
        self._queues.setdefault(stream, Queue()).add(self._attributed(waiting))
        self.draw(stream)

    def _attributed(self, waiting: Waiting) -> Waiting:
        """Whether its author is an owner."""
        owners = self._desk.geneses[waiting.header.stream].owners
        return replace(waiting, owner=owners.index(waiting.header.author) is not None)

    # ---- a run is put together ----

    def draw(self, stream: StreamId) -> None:
        """Propose what waits, if nothing of the stream is proposed."""
        desk, queue = self._desk, self._queues.get(stream)
        if not queue or stream in self._proposals or stream in self._drawing:
            return
        if stream in desk.logs and desk.why_wait(stream) is None and not self._knows(stream):
            return
        drawn = queue.draw()
        if not queue:
            del self._queues[stream]
        state = desk.logs.get(stream)
        if state is None:
            self._turn_away(drawn, NO_LOG, later=True)
            self.draw(stream)
            return
        intents = [each.header for each in drawn if each.header.author_sig is not None]
        authors = tuple(dict.fromkeys([header.author for header in intents]))
        bases = [header.base_length for header in intents]
        bases += [each.length for each in [desk.must_continue(stream)] if each]
        self._drawing.add(stream)
        needs = Needs(authors, tuple(dict.fromkeys(bases)))
        question = FactsOf(stream, needs, state.length)
        desk.learn(question, partial(self._drawn, stream, state, drawn))

    def _why_not_propose(self, stream: StreamId, genesis: Genesis, state: LogState) -> str | None:
        if reason := self._desk.why_not(stream, genesis):
            return reason
        if not self._desk.replicates(stream):
            return NOT_HERE
        if state.frontier:
            return "the sequencer waits for entries of that stream itself"
        if state.length + q.LEAVES_MAX > LENGTH_MAX:
            return "that stream is as long as streams can be"
        return None

    def _drawn(
        self, stream: StreamId, before: LogState, drawn: list[Waiting], facts: Facts
    ) -> None:
        desk = self._desk
        self._drawing.discard(stream)
        if desk.logs.get(stream) != before:
            self._queues.setdefault(stream, Queue()).put_back(drawn)
            self.draw(stream)
            return
        genesis, signed = desk.geneses[stream], desk.must_continue(stream)
        waits = desk.why_wait(stream)
        reason = self._why_not_propose(stream, genesis, before) or waits
        if signed is not None and facts.roots.get(signed.length) != signed.root:
            reason = OTHER_LOG
        if reason is not None:
            self._turn_away(drawn, reason, later=bool(before.frontier or waits))
        elif placed := self._place(before, genesis, drawn, facts):
            askers = {header.place: waiting.asker for header, waiting in placed}
            self._propose(Proposal(self._run(before, placed), genesis, askers))
        self.draw(stream)

    def _turn_away(self, drawn: list[Waiting], reason: str, *, later: bool = False) -> None:
        for waiting in drawn:
            self.tell(waiting.asker, q.Declined(waiting.asker.number, reason, later=later))

    def _place(
        self, before: LogState, genesis: Genesis, drawn: list[Waiting], facts: Facts
    ) -> list[tuple[Header, Waiting]]:
        """Those that may stand in the log, one after the other."""
        intents = Intents(dict(facts.authors), dict(facts.roots))
        placed, stamp_ms = list[tuple[Header, Waiting]](), before.stamp_ms
        for waiting in drawn:
            header = _at(waiting.header, before.length + len(placed), stamp_ms)
            try:
                if header.author_sig is None:
                    stamp_ms = header.timestamp_ms
                else:
                    intents.check_one(header, genesis.owners.only)
            except Malformed as error:
                self.tell(waiting.asker, q.Declined(waiting.asker.number, str(error)))
            else:
                placed.append((header, waiting))
        return placed

    def _run(self, before: LogState, placed: list[tuple[Header, Waiting]]) -> Run:
        headers = [header for header, _ in placed]
        leaves = tuple([header.encoded for header in headers])
        peaks, _ = grow(before.peaks, before.length, [leaf_hash(leaf) for leaf in leaves])
        stream, length = headers[0].stream, before.length + len(leaves)
        head = Head(stream, length, bag(peaks), self._desk.wall_ms)
        contents = tuple([waiting.content for _, waiting in placed])
        return Run(before.length, leaves, contents, head)

    def tell(self, asker: Asker, message: q.Placed | q.Declined) -> None:
        if asker.peer == self._desk.me:
            self._tell_here(message)
        elif asker.peer in self._desk.peers:
            self._desk.send(asker.peer, message)


def _at(header: Header, place: int, stamp_ms: int) -> Header:
    """In that place of the log; `stamp_ms`: of the only owner's entry before."""
    if header.author_sig is not None:
        return header._replace(place=place)
    stamp_ms = max(header.timestamp_ms, stamp_ms)
    return header._replace(place=place, author_seq=place, base_length=place, timestamp_ms=stamp_ms)
