"""Decide which entries become part of which stream (spec/streams.md 8, 10).

A StreamBook is a part of whatever replicates streams. It takes segments that peers offer and
entries that the node appends, has signatures checked and runs made durable, and says what became
durable, what was refused, and which Heads contradict a log. Whom to ask for what, and what follows
from a contradiction, is decided elsewhere.
"""

from dataclasses import dataclass, field, replace

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import Malformed
from qbix_node.streams import messages as s
from qbix_node.streams.authoring import make_genesis_segment
from qbix_node.streams.caution import Caution, CautionChanged, Doubt, Doubted, ShownAhead, Trusted
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import (
    NO_FACTS,
    Contradicted,
    Covered,
    Facts,
    Growth,
    begin,
    continue_log,
    cover,
    genesis_of,
    needs,
    own_growth,
    read_headers,
    writes_of,
)
from qbix_node.streams.line import FactsOf, HeadReplaced, Line, Offer
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.switching import ResolveStream, Switching, Withdraw, nothing_else
from qbix_node.streams.tree import LENGTH_MAX
from qbix_node.streams.wishes import Writing, draw_beside, heirs_of, make_run, refused, why_never
from qbix_node.wire.references import StreamId

OFFERS_MAX = 512  # segments of all streams together on their way into logs
OFFERS_BYTES_MAX = 64 * 1024 * 1024  # of them
WISHES_PER_STREAM_MAX = 1024  # appends that wait

Effects = list[m.Effect]


@dataclass(slots=True)
class StreamBook:
    """`geneses`, `logs`, `stopped`, `resolutions`: what the store holds; `stopped` takes no entries
    any more. `caution`: where nothing is appended for now.
    """

    keys: KeyPair
    tokens: m.Tokens
    geneses: dict[StreamId, Genesis]
    logs: dict[StreamId, LogState]
    stopped: dict[StreamId, str]  # and why
    caution: Caution = field(default_factory=Caution)
    resolutions: dict[StreamId, Resolution] = field(default_factory=dict)
    withdraw: Withdraw = nothing_else
    waiting: int = 0  # offers that are not dealt with
    _waiting_bytes: int = 0
    _accepted: dict[StreamId, None] = field(default_factory=dict)
    _lines: dict[StreamId, Line] = field(default_factory=dict)
    _asked: dict[m.Token, StreamId] = field(default_factory=dict)
    _checks: dict[m.Token, StreamId] = field(default_factory=dict)
    _writes: dict[m.Token, StreamId] = field(default_factory=dict)
    switching: Switching = field(init=False)

    def __post_init__(self) -> None:
        self.switching = Switching(self.tokens, self.logs, self.resolutions, self.withdraw)

    def accept(self, stream: StreamId) -> None:
        """From now on segments of this stream are taken from peers."""
        self._accepted[stream] = None

    def drop(self, stream: StreamId) -> None:
        """Take no more of it; what is here, and what is being written, stays."""
        self._accepted.pop(stream, None)

    def length(self, stream: StreamId) -> int:
        state = self.logs.get(stream)
        return state.length if state else 0

    def owns(self, stream: StreamId) -> bool:
        """Whether this node alone signs what comes next: owners may have changed."""
        known = self.logs.get(stream) or self.geneses.get(stream)  # a log may be on its way anew
        return known is not None and known.owners.only == AuthorId(self.keys.public)

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        effects: Effects = []
        match event:
            case m.Received(peer, s.OfferedSegment(segment, size_bytes)):
                self._offer(Offer(peer, segment, size_bytes), effects)
            case m.Requested(s.Create() as wish):
                self._create(wish, effects)
            case m.Requested(s.Append() | s.SetOwners() as wish):
                self._append(wish, effects)
            case m.Requested(Doubted() | Trusted() | ShownAhead() as word):
                self.caution.heed(word)
                effects.append(m.Emit(CautionChanged(word.stream)))
            case m.Answered(token, Facts() as facts) if token in self._asked:
                stream = self._asked.pop(token)
                self._judge(stream, self._lines[stream], facts, effects)
                self._go_on(stream, effects)
            case m.Verified(token, oks) if token in self._checks:
                stream = self._checks.pop(token)
                self._checked(stream, self._lines[stream], oks, effects)
                self._go_on(stream, effects)
            case m.Persisted(token) if token in self._writes:
                stream = self._writes.pop(token)
                self._saved(stream, self._lines[stream], effects)
                self._go_on(stream, effects)
            case _:  # a repeat, or meant for another part
                self._switch(event, effects)
        for stream in self.switching.due():
            self._lines.setdefault(stream, Line())
            self._go_on(stream, effects)
        return tuple(effects)

    def _switch(self, event: m.Event, effects: Effects) -> None:
        match event:
            case m.Requested(ResolveStream(resolution)):
                self.stopped.pop(resolution.stream, None)
                self.caution.ahead.pop(resolution.stream, None)  # it may be of the other branch
                self.switching.resolve(resolution)
            case _ if (stream := self.switching.handle(event, effects)) is not None:
                self._lines[stream].busy = False
                self._go_on(stream, effects)
            case _:
                pass

    # ---- what comes in ----

    def _offer(self, offer: Offer, effects: Effects) -> None:
        stream = offer.segment.stream
        if not self._takes(stream):
            effects.append(m.Emit(s.SegmentSettled(offer.peer, offer.size_bytes)))
            return
        line = self._lines.get(stream) or Line()
        more_bytes = self._waiting_bytes + offer.size_bytes
        if self.waiting >= OFFERS_MAX or more_bytes > OFFERS_BYTES_MAX or not line.has_room(offer):
            effects.append(m.Emit(s.SegmentSkipped(offer.peer, stream)))
            effects.append(m.Emit(s.SegmentSettled(offer.peer, offer.size_bytes)))
            return
        self.waiting, self._waiting_bytes = self.waiting + 1, more_bytes
        line.size_bytes += offer.size_bytes
        self._lines[stream] = line
        line.offers.append(offer)
        self._go_on(stream, effects)

    def _takes(self, stream: StreamId) -> bool:
        return stream in self._accepted and stream not in self.stopped

    def _create(self, wish: s.Create, effects: Effects) -> None:
        stream = wish.genesis.stream
        if wish.genesis.owners.only != AuthorId(self.keys.public):
            effects.append(refused(wish, "this node is not the only owner of that stream"))
        elif stream in self.geneses or stream in self._lines:
            effects.append(refused(wish, "that stream is here already"))
        elif reason := why_never(wish):
            effects.append(refused(wish, reason, bad_content=True))
        else:
            line = self._lines[stream] = Line()
            line.wishes.append(wish)
            self._go_on(stream, effects)

    def _append(self, wish: Writing, effects: Effects) -> None:
        stream = wish.stream
        if reason := self._why_not_append(stream):
            effects.append(refused(wish, reason))
        elif reason := self.why_wait(stream):
            effects.append(refused(wish, reason, for_now=True))
        elif reason := why_never(wish, self.geneses[stream]):
            effects.append(refused(wish, reason, bad_content=True))
        else:
            line = self._lines.setdefault(stream, Line())
            if len(line.wishes) >= WISHES_PER_STREAM_MAX:
                effects.append(refused(wish, "too much waits to be appended already"))
                return
            line.wishes.append(wish)
            self._go_on(stream, effects)

    def _why_not_append(self, stream: StreamId) -> str | None:
        if stream not in self.geneses:
            return "that stream is not here"
        if not self.owns(stream):
            return "this node is not the only owner of that stream"
        if stream in self.stopped:
            return self.stopped[stream]
        if self.length(stream) + s.ENTRIES_MAX > LENGTH_MAX:
            return "that stream is as long as streams can be"
        if stream not in self.logs:
            return "the branch that its owners chose is not here yet"
        if self.geneses[stream].sequenced_under(self.logs[stream].owners):
            return "what is appended to that stream goes through its sequencer"  # which signs
        return None

    def why_wait(self, stream: StreamId) -> Doubt | str | None:
        """Why nothing is signed for now, though it is an own stream that takes entries."""
        state = self.logs.get(stream)
        if stream in self.stopped or state is None or state.owners.index(self.keys.public) is None:
            return None
        return self.caution.why_wait(stream, state)

    # ---- one thing after the other ----

    def _go_on(self, stream: StreamId, effects: Effects) -> None:
        line = self._lines[stream]
        while not line.busy:
            if self.switching.begin(stream, effects):
                line.busy = True
            elif line.wishes:
                self._write(stream, line, effects)
            elif line.offers:
                line.offer = line.take_offer()
                self._read(stream, line, line.offer, effects)
            else:
                del self._lines[stream]
                return

    def _write(self, stream: StreamId, line: Line, effects: Effects) -> None:
        """Whatever waits goes under one Head."""
        first = line.wishes.popleft()
        line.offer = None
        if isinstance(first, s.Create):
            line.written = (first,)
            segment = make_genesis_segment(first.genesis, self.keys, first.stamp_ms)
            self._keep(stream, line, own_growth(first.genesis, None, segment), effects)
            return
        together = [first, *draw_beside(first, line.wishes)]
        if reason := self._why_not_append(stream):  # since it was asked for
            effects += [refused(wish, reason) for wish in together]
            return
        if reason := self.why_wait(stream):
            effects += [refused(wish, reason, for_now=True) for wish in together]
            return
        line.written = tuple(together)
        state = self.logs[stream]
        segment = make_run(state, self.keys, together)
        growth = own_growth(self.geneses[stream], state, segment, heirs_of(first))
        self._keep(stream, line, growth, effects)

    def _read(self, stream: StreamId, line: Line, offer: Offer, effects: Effects) -> None:
        segment, state, length = offer.segment, self.logs.get(stream), self.length(stream)
        covering = segment.signed_head.head.length
        covered = state.signed.head.length if state else 0
        if not self._takes(stream) or segment.stop < length:
            self._settle(line, effects)
        elif segment.first > length or self.switching.misses_branch(segment, length):
            self._skip(stream, line, offer, effects)
        elif segment.stop == length and covering <= covered:
            self._settle(line, effects)
        elif self.owns(stream) and covering < covered:
            # SPEC streams 10: a Head of ours is not forgotten before its entries are here, or we
            # would append in a place where we have signed something else.
            self._settle(line, effects)
        else:
            try:
                genesis = self.geneses.get(stream) or begin(segment)
                line.headers = read_headers(segment, length)
                line.covered = cover(genesis, state, segment, earlier=line.earlier())
            except Malformed as error:
                self._refuse(line, str(error), effects)
                return
            if isinstance(line.covered, Contradicted) and offer.parts:
                line.take_apart()
                return
            line.busy = True
            self._look(stream, line, line.covered, effects)

    def _skip(self, stream: StreamId, line: Line, offer: Offer, effects: Effects) -> None:
        if offer.parts:
            line.take_apart()
        else:
            effects.append(m.Emit(s.SegmentSkipped(offer.peer, stream)))
            self._settle(line, effects)

    def _look(
        self, stream: StreamId, line: Line, covered: Covered | Contradicted, effects: Effects
    ) -> None:
        """Nothing is looked up in the store for who has no signature of the owners."""
        wanted = needs(line.headers)
        if isinstance(covered, Covered) and not wanted.authors:
            self._judge(stream, line, NO_FACTS, effects)
        elif covered.head_checks:
            self._verify(stream, covered.head_checks, effects)
        else:
            token = self.tokens.new()
            self._asked[token] = stream
            effects.append(m.Ask(token, FactsOf(stream, wanted, self.length(stream))))

    def _judge(self, stream: StreamId, line: Line, facts: Facts, effects: Effects) -> None:
        assert line.offer is not None
        assert isinstance(line.covered, Covered)
        segment, state = line.offer.segment, self.logs.get(stream)
        try:
            genesis = self.geneses.get(stream) or begin(segment)
            verdict = continue_log(
                genesis, state, segment, line.headers, facts, covered=line.covered
            )
        except Malformed as error:
            self._refuse(line, str(error), effects)
            return
        assert isinstance(verdict, Growth)  # it is covered
        line.growth = verdict
        if checks := verdict.head_checks + verdict.checks:
            self._verify(stream, checks, effects)
        else:
            self._keep(stream, line, verdict, effects)

    def _verify(
        self, stream: StreamId, checks: tuple[m.SignatureCheck, ...], effects: Effects
    ) -> None:
        token = self.tokens.new()
        self._checks[token] = stream
        effects.append(m.Verify(token, checks))

    def _checked(
        self, stream: StreamId, line: Line, oks: tuple[bool, ...], effects: Effects
    ) -> None:
        offer, covered, growth = line.offer, line.covered, line.growth
        assert offer is not None
        if not all(oks):
            self._refuse(line, "a signature does not match", effects)
        elif not isinstance(covered, Covered):
            effects.append(m.Emit(s.HeadContradicts(offer.peer, offer.segment.signed_head)))
            self._refuse(line, "its entries don't lead from our log to its Head", effects)
        elif not self._takes(stream):
            self._settle(line, effects)
        elif growth is None:
            line.covered = replace(covered, head_checks=())
            self._look(stream, line, line.covered, effects)
        else:
            self._keep(stream, line, growth, effects)

    def _keep(self, stream: StreamId, line: Line, growth: Growth, effects: Effects) -> None:
        """What is durable together: entries, Head, and how far the log is."""
        line.growth, line.busy = growth, True
        token = self.tokens.new()
        self._writes[token] = stream
        # SPEC streams 10: an own Head leaves only after a synced mark outside of the database.
        own = line.offer is None
        writes = writes_of(stream, growth, new=stream not in self.geneses)
        if not own and stream not in self.logs:
            genesis, key = genesis_of(growth), AuthorId(self.keys.public)
            writes += self.caution.doubt_what_comes(genesis, growth.state, key)
        effects.append(m.Persist(token, tuple(writes), marked=own))

    def _saved(self, stream: StreamId, line: Line, effects: Effects) -> None:
        growth, offer = line.growth, line.offer
        assert growth is not None
        if stream not in self.geneses:
            self.geneses[stream] = genesis_of(growth)
        before = self.logs.get(stream)
        self.logs[stream] = growth.state
        if before is not None and before.frontier and before.signed != growth.state.signed:
            effects.append(m.Emit(HeadReplaced(before)))
        stop = growth.state.length
        first = stop - len(growth.leaves)
        source = offer.peer if offer else None
        lacking = None in growth.contents[first == 0 :]  # the genesis is its own content
        effects.append(m.Emit(s.Grown(stream, first, stop, source, lacking)))
        for wish in line.written:
            count = len(wish.entries) if isinstance(wish, s.Append) else 1
            effects.append(m.Emit(s.Appended(wish.request, stream, first, first + count)))
            first += count
        line.written = ()
        self._settle(line, effects)

    def _refuse(self, line: Line, reason: str, effects: Effects) -> None:
        """What the same peer sent of the stream after it rests on it."""
        assert line.offer is not None
        if line.offer.parts:
            line.take_apart()
            return
        peer, segment = line.offer.peer, line.offer.segment
        effects.append(m.Emit(s.SegmentRefused(peer, segment.stream, segment.first, reason)))
        gone = [offer for offer in line.offers if offer.peer == peer]
        for offer in gone:
            line.offers.remove(offer)
            self._let_go(line, offer, effects)
        self._settle(line, effects)

    def _settle(self, line: Line, effects: Effects) -> None:
        """What was being done is over."""
        if line.offer is not None:
            for offer in line.offer.parts or (line.offer,):
                self._let_go(line, offer, effects)
        line.rest()

    def _let_go(self, line: Line, offer: Offer, effects: Effects) -> None:
        line.size_bytes -= offer.size_bytes
        self.waiting -= 1
        self._waiting_bytes -= offer.size_bytes
        effects.append(m.Emit(s.SegmentSettled(offer.peer, offer.size_bytes)))
