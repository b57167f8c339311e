"""The sequencer's part: gather entries, propose a run, bring the signatures together
(spec/sequencing.md 2, 3).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import NO_LOG, Desk
from qbix_node.sequencing.proposals import Proposal
from qbix_node.sequencing.queue import Asker, Queue, Waiting
from qbix_node.sequencing.records import Run, Signed, delete_run, put_run, put_signed
from qbix_node.streams.genesis import Genesis, read_genesis
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


class Proposer:
    """`runs`: what the store holds. `tell_here`: what became of an entry of this node."""

    def __init__(
        self,
        desk: Desk,
        runs: dict[StreamId, Run],
        tell_here: Callable[[q.Placed | q.Declined], None],
    ) -> None:
        self.proposals: dict[StreamId, Proposal] = {}
        self._desk = desk
        self._runs = runs
        self._tell_here = tell_here
        self._queues: dict[StreamId, Queue] = {}
        self._drawing: set[StreamId] = set()  # facts are looked up; never gone through
        self._comparing: set[StreamId] = set()
        self._checking = 0

    def start(self) -> None:
        """Go on with what was proposed before the last stop."""
        runs, self._runs = self._runs, {}
        for stream, run in runs.items():
            genesis = self._desk.geneses.get(stream) or read_genesis(run.leaves[0])
            proposal = self.proposals[stream] = Proposal(run, genesis, durable=True)
            self._sign(proposal)
            self.grew(stream)
            self._complete(proposal)

    def begin(self, wish: q.Begin) -> None:
        desk, genesis = self._desk, wish.genesis
        stream = genesis.stream
        if genesis.sequencer != desk.author:
            desk.emit(q.Failed(wish.request, "this node is not the sequencer of that stream"))
        elif stream in desk.geneses or stream in self.proposals or stream in desk.signed:
            desk.emit(q.Failed(wish.request, "that stream is here already"))
        elif reason := desk.why_not(stream, genesis):
            desk.emit(q.Failed(wish.request, reason))
        else:
            head = Head(stream, 1, leaf_hash(genesis.encoded), desk.wall_ms)
            run = Run(0, (genesis.encoded,), (None,), head)
            self._propose(Proposal(run, genesis, begun=wish.request))

    # ---- what writers hand in ----

    def hear_intent(self, peer: m.PeerId, said: q.Intent) -> None:
        """Of a peer, or with the key of this node in the peer's place, of the people here."""
        desk, asker = self._desk, Asker(peer, said.number)
        waiting = Waiting(said.header, said.content, asker)
        if declined := self._why_decline(waiting):
            self._tell(asker, declined)
        elif peer == desk.me:
            self._take(waiting)
        elif self._checking >= CHECKING_MAX or not desk.peers[peer].may_cost(1, desk.now):
            self._tell(asker, q.Declined(said.number, TOO_MUCH, later=True))
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
        proposal = self.proposals.get(stream)
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
        queue, proposal = self._queues.get(stream), self.proposals.get(stream)
        return bool(
            (queue is not None and queue.replace(waiting))
            or (proposal is not None and proposal.replace(waiting))
        )

    def _checked(self, waiting: Waiting, oks: tuple[bool, ...]) -> None:
        self._checking -= 1
        number = waiting.asker.number
        if not all(oks):
            self._tell(waiting.asker, q.Declined(number, "its signature does not match"))
        elif declined := self._why_decline(waiting):
            self._tell(waiting.asker, declined)
        elif not self._asked_again(waiting):
            self._take(waiting)

    def _take(self, waiting: Waiting) -> None:
        stream = waiting.header.stream
        self._queues.setdefault(stream, Queue()).add(self._attributed(waiting))
        self._draw(stream)

    def _attributed(self, waiting: Waiting) -> Waiting:
        """Whether its author is an owner."""
        owners = self._desk.geneses[waiting.header.stream].owners
        return replace(waiting, owner=owners.index(waiting.header.author) is not None)

    # ---- a run is put together ----

    def _draw(self, stream: StreamId) -> None:
        """Propose what waits, if nothing of the stream is proposed."""
        desk, queue = self._desk, self._queues.get(stream)
        if not queue or stream in self.proposals or stream in self._drawing:
            return
        drawn = queue.draw()
        if not queue:
            del self._queues[stream]
        state = desk.logs.get(stream)
        if state is None:
            self._turn_away(drawn, NO_LOG, later=True)
            self._draw(stream)
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
            self._draw(stream)
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
        self._draw(stream)

    def _turn_away(self, drawn: list[Waiting], reason: str, *, later: bool = False) -> None:
        for waiting in drawn:
            self._tell(waiting.asker, q.Declined(waiting.asker.number, reason, later=later))

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
                self._tell(waiting.asker, q.Declined(waiting.asker.number, str(error)))
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

    # ---- and signed by enough of its owners ----

    def _propose(self, proposal: Proposal) -> None:
        """SPEC sequencing 3: it is durable, word for word, before anybody hears of it."""
        desk, run = self._desk, proposal.run
        stream = run.head.stream
        self.proposals[stream] = proposal
        signed = desk.signed[stream] = Signed(run.head.length, run.head.root)
        writes = put_run(run), put_signed(stream, signed)
        desk.persist(*writes, then=partial(self._proposed, proposal), marked=True)

    def _proposed(self, proposal: Proposal) -> None:
        proposal.durable = True
        if proposal.begun is not None:
            self._desk.emit(q.Done(proposal.begun))
        self._sign(proposal)
        if not self._complete(proposal):
            self._send_to(proposal, list(self._desk.peers))

    def _sign(self, proposal: Proposal) -> None:
        owner = proposal.genesis.owners.index(self._desk.me)
        assert owner is not None  # the sequencer is one
        proposal.signatures[owner] = self._desk.keys.sign(proposal.run.head.body)

    def _complete(self, proposal: Proposal) -> bool:
        """Whether it needs no more signatures; told again and again until it is in the log."""
        whole = proposal.whole
        if whole is not None and self._goes_on(proposal):
            self._desk.emit(q.Completed(whole))
        return whole is not None

    def _goes_on(self, proposal: Proposal) -> bool:
        stream = proposal.run.head.stream
        if proposal.barred or self._desk.behind(stream) or not self._desk.replicates(stream):
            return False
        return self._desk.why_not(stream, proposal.genesis) is None

    def greet(self, peer: m.PeerId) -> None:
        """Who has come hears what is proposed."""
        for proposal in self.proposals.values():
            self._send_to(proposal, [peer])

    def round(self) -> None:
        for proposal in self.proposals.values():
            if proposal.durable and not self._complete(proposal):
                self._send_to(proposal, list(self._desk.peers))

    def _send_to(self, proposal: Proposal, peers: list[m.PeerId]) -> None:
        """Those of them that own the stream and have not signed."""
        run, desk = proposal.run, self._desk
        if not proposal.durable or proposal.whole is not None or not self._goes_on(proposal):
            return
        weights = proposal.genesis.owners.weights
        wanted = {m.PeerId(weights[index][0]) for index in proposal.unsigned}
        for peer in peers:
            if peer in wanted:
                desk.send(peer, q.Propose(run.first, run.leaves, run.head))

    def hear_signature(self, peer: m.PeerId, said: q.Signature) -> None:
        proposal = self._of(peer, said)
        if proposal is None or proposal.genesis.owners.index(peer) != said.owner:
            return  # what was asked before, or never
        if said.owner in proposal.signatures:
            return
        if self._desk.peers[peer].may_cost(1, self._desk.now):
            check = m.SignatureCheck(peer, proposal.run.head.body, said.signature)
            self._desk.verify((check,), partial(self._signature_checked, peer, said))

    def _signature_checked(self, peer: m.PeerId, said: q.Signature, oks: tuple[bool, ...]) -> None:
        proposal = self._of(peer, said)
        if not all(oks):
            self._desk.disbelieve(peer, "its signature under what was proposed does not match")
        elif proposal is not None and proposal.whole is None:
            proposal.signatures[said.owner] = said.signature
            proposal.refused.pop(said.owner, None)
            self._complete(proposal)

    def hear_refused(self, peer: m.PeerId, said: q.Refused) -> None:
        proposal = self._of(peer, said)
        owner = proposal.genesis.owners.index(peer) if proposal else None
        if proposal is not None and owner is not None and owner not in proposal.signatures:
            proposal.refused[owner] = said.reason

    def _of(self, peer: m.PeerId, said: q.Signature | q.Refused) -> Proposal | None:
        """What a peer's answer is about."""
        proposal = self.proposals.get(said.stream)
        if proposal is None or not proposal.durable or not proposal.ends_with(said):
            return None
        return proposal

    # ---- and in the log ----

    def grew(self, stream: StreamId) -> None:
        proposal, state = self.proposals.get(stream), self._desk.logs.get(stream)
        if proposal is None or state is None or stream in self._comparing:
            return
        length = proposal.run.head.length
        if length <= state.length:
            self._comparing.add(stream)
            question = FactsOf(stream, Needs((), (length,)), state.length)
            self._desk.learn(question, partial(self._compared, proposal))

    def _compared(self, proposal: Proposal, facts: Facts) -> None:
        head = proposal.run.head
        self._comparing.discard(head.stream)
        if facts.roots[head.length] != head.root:
            proposal.barred = True  # for ever: what comes next would not continue it
            for asker in proposal.askers.values():
                self._tell(asker, q.Declined(asker.number, OTHER_LOG))
            proposal.askers.clear()
            return
        self._desk.persist(delete_run(head.stream), then=partial(self._draw, head.stream))
        del self.proposals[head.stream]
        for place, asker in proposal.askers.items():
            self._tell(asker, q.Placed(asker.number, place))

    def forget(self, stream: StreamId, proposed: Signed) -> None:
        """It was of the branch that the owners gave up, and is not in the store any more."""
        if (proposal := self.proposals.get(stream)) and proposal.ends_with(proposed):
            del self.proposals[stream]
            for asker in proposal.askers.values():
                self._tell(asker, q.Declined(asker.number, NO_LOG, later=True))
            self._draw(stream)

    def _tell(self, asker: Asker, message: q.Placed | q.Declined) -> None:
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
