"""A writer's part: hand entries to the sequencer, and see them come into the log
(spec/sequencing.md 2).

That an entry is placed is believed once it stands in the log here, under a Head of the owners.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from qbix_node import machines as m
from qbix_node.ports import Rows
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import NO_LOG, Desk, Stands
from qbix_node.sequencing.records import put_written
from qbix_node.streams.authoring import make_header, make_intent
from qbix_node.streams.growth import Facts, Needs
from qbix_node.streams.line import FactsOf
from qbix_node.streams.messages import Header, NewEntry, read_header
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import AuthorState, read_leaves
from qbix_node.wire.references import StreamId, format_feed

REQUESTS_MAX = 64  # of the people here, that are not done
LOOKED_UP = 1024  # entries at a time, for those of ours
NUMBER_GONE = "another entry of this node has its number: it was put back, or its key is used twice"
CONNECT = "qbix-node status shows who is connected; qbix-node peer add connects"
AT_ONCE = 32  # entries that are on their way to one sequencer; fewer than wait for a slow peer


@dataclass(frozen=True, slots=True)
class PlacesOf:
    """Where intents of an author stand, and with which signature, by its numbers: a question."""

    stream: StreamId
    author: AuthorId
    first: int
    stop: int

    def answer(self, rows: Rows) -> dict[int, Stands]:
        first = max(self.first, 1)
        leaves = read_leaves(rows, self.stream, first, self.stop)
        headers = [read_header(leaf) for leaf in leaves]
        mine = [each for each in headers if each.author == self.author]
        return {
            each.author_seq: Stands(each.place, each.author_sig) for each in mine if each.author_sig
        }


@dataclass(slots=True)
class _Request:
    wish: q.Write
    sequencer: m.PeerId
    begun: bool = False  # else others of the stream go first, as numbers ascend
    headers: list[Header] = field(default_factory=list)
    sent: int = 0  # of these
    open: set[int] = field(default_factory=set)  # sent, without an answer; never gone through
    places: dict[int, int] = field(default_factory=dict)  # in the log here
    declined: dict[int, q.Declined] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        known = len(self.places) + len(self.declined)
        return known == (self.sent if self.declined else len(self.wish.entries))


class Writer:
    """`written`: what the store holds. `knows`: whether this node, the sequencer, knows what it has
    proposed before. `hand_over`: an entry to the sequencer in this node.
    """

    def __init__(
        self,
        desk: Desk,
        written: dict[StreamId, AuthorState],
        knows: Callable[[StreamId], bool],
        hand_over: Callable[[m.PeerId, q.Intent], None],
    ) -> None:
        self._desk = desk
        self._written = written
        self._knows = knows
        self._hand_over = hand_over
        self._requests: dict[int, _Request] = {}
        self._numbers: dict[int, tuple[int, int]] = {}  # request and place in it, by number
        self._number = 0

    # ---- asked for ----

    def write(self, wish: q.Write) -> None:
        desk, stream = self._desk, wish.stream
        if reason := self._why_never(stream):
            desk.emit(q.Failed(wish.request, reason))
            return
        if stream not in desk.logs:
            desk.emit(q.Failed(wish.request, NO_LOG, later=True))
            return
        sequencer = m.PeerId(desk.geneses[stream].sequencer or b"")
        if sequencer != desk.me and sequencer not in desk.peers:
            who = format_feed(sequencer)
            reason = f"{who} puts the entries of that stream in order, and is not connected"
            desk.emit(q.Failed(wish.request, reason, later=True, hint=CONNECT))
            return
        if len(self._requests) >= REQUESTS_MAX:
            reason = "too much waits to be appended already"
            desk.emit(q.Failed(wish.request, reason, later=True))
            return
        self._requests[wish.request] = _Request(wish, sequencer)
        self.begin_next(stream)

    def begin_next(self, stream: StreamId) -> None:
        desk = self._desk
        request = next((e for e in self._requests.values() if e.wish.stream == stream), None)
        if request is None or request.begun:
            return
        asks = request.sequencer == desk.me and desk.why_wait(stream) is None
        if asks and not self._knows(stream):
            return  # entries of this node that are not in the log have numbers, too
        request.begun = True
        if desk.geneses[stream].owners.only == desk.author:  # each Head is its signature
            made = [self._unsigned(stream, entry) for entry in request.wish.entries]
            self._made(request, made)
            return
        question = FactsOf(stream, Needs((desk.author,), ()), desk.length(stream))
        desk.learn(question, partial(self._learned, request))

    def recall(self, said: q.Propose) -> list[m.Write]:
        """Numbers of this node in what it proposed before; to be durable with that."""
        stream, none = said.head.stream, AuthorState(0, 0)
        headers = [read_header(leaf) for leaf in said.leaves]
        mine = [each for each in headers if each.author == self._desk.author]
        last = self._written.get(stream, none)
        seqs = [last.author_seq, *[each.author_seq for each in mine]]
        stamps = [last.timestamp_ms, *[each.timestamp_ms for each in mine]]
        self._written[stream] = AuthorState(max(seqs), max(stamps))
        return [put_written(stream, self._written[stream])] if mine else []

    def _why_never(self, stream: StreamId) -> str | None:
        desk, genesis = self._desk, self._desk.geneses.get(stream)
        if genesis is None:
            return "that stream is not here"
        if reason := desk.why_not(stream, genesis):
            return reason
        if not desk.replicates(stream):
            return "who writes into a stream of others follows it"
        if not genesis.may_write(desk.me):
            return "this node is neither an owner nor among the writers of that stream"
        return None

    def _unsigned(self, stream: StreamId, entry: NewEntry) -> Header:
        return make_header(stream, 1, self._desk.author, entry, self._desk.wall_ms)

    def _learned(self, request: _Request, facts: Facts) -> None:
        """Number and sign. SPEC sequencing 2: no number is used twice, so it is durable first."""
        desk, stream = self._desk, request.wish.stream
        if request.wish.request not in self._requests:
            return
        state = desk.logs.get(stream)
        if state is None:
            desk.emit(q.Failed(request.wish.request, NO_LOG, later=True))
            self.give_up(request.wish.request)
            return
        none = AuthorState(0, 0)
        logged, used = facts.authors.get(desk.author, none), self._written.get(stream, none)
        author_seq = max(logged.author_seq, used.author_seq)
        stamp_ms = max(logged.timestamp_ms, used.timestamp_ms, desk.wall_ms)
        made = list[Header]()
        for entry in request.wish.entries:
            author_seq += 1
            made.append(make_intent(state, desk.keys, author_seq, entry, stamp_ms))
        last = self._written[stream] = AuthorState(author_seq, stamp_ms)
        desk.persist(put_written(stream, last), then=partial(self._made, request, made))

    def _made(self, request: _Request, headers: list[Header]) -> None:
        if request.wish.request in self._requests:
            request.headers = headers
            self._send(request)

    def _send(self, request: _Request) -> None:
        desk, wish = self._desk, request.wish
        while not request.declined and request.sent < len(request.headers):
            if self._under_way(request.sequencer) >= AT_ONCE:
                break
            if request.sequencer != desk.me and request.sequencer not in desk.peers:
                break  # goes on once it has come
            place = request.sent
            request.sent += 1
            request.open.add(place)
            self._number += 1
            self._numbers[self._number] = wish.request, place
            header, content = request.headers[place], wish.entries[place].beside
            intent = q.Intent(self._number, header, content)
            if request.sequencer == desk.me:
                self._hand_over(desk.me, intent)
            else:
                desk.send(request.sequencer, intent)

    def _under_way(self, sequencer: m.PeerId) -> int:
        open_ = [len(e.open) for e in self._requests.values() if e.sequencer == sequencer]
        return sum(open_)

    def greet(self, peer: m.PeerId) -> None:
        """What has not been sent goes to the sequencer that has come. What has been is not sent
        again: it may stand in the log, and would be declined.
        """
        self._send_on(peer)

    def _send_on(self, sequencer: m.PeerId) -> None:
        for request in list(self._requests.values()):
            if request.sequencer == sequencer:
                self._send(request)

    def give_up(self, request: int) -> None:
        over = self._requests.pop(request, None)
        self._numbers = {n: asked for n, asked in self._numbers.items() if asked[0] != request}
        if over is not None:
            self.begin_next(over.wish.stream)

    # ---- answered ----

    def hear(self, peer: m.PeerId, said: q.Placed | q.Declined) -> None:
        number, place = self._numbers.get(said.number, (0, 0))
        request = self._requests.get(number)
        if request is None or request.sequencer != peer:
            return
        del self._numbers[said.number]
        request.open.discard(place)
        if isinstance(said, q.Declined) and place not in request.places:
            request.declined[place] = said
        elif isinstance(said, q.Placed) and peer == self._desk.me:
            request.places[place] = said.place
        self._finish(request)
        self._send_on(peer)

    def grew(self, grown: q.Grew) -> None:
        """Whether entries of ours have come into the log, which is what counts."""
        if any(each.wish.stream == grown.stream and each.sent for each in self._requests.values()):
            for first in range(grown.first, grown.stop, LOOKED_UP):
                stop = min(first + LOOKED_UP, grown.stop)
                question = PlacesOf(grown.stream, self._desk.author, first, stop)
                self._desk.look_up(question, partial(self._found, grown.stream))

    def _found(self, stream: StreamId, places: Mapping[int, Stands]) -> None:
        for request in list(self._requests.values()):
            if request.wish.stream != stream:
                continue
            for number, header in enumerate(request.headers[: request.sent]):
                if stands := places.get(header.author_seq):
                    request.open.discard(number)
                    if stands.author_sig == header.author_sig:
                        request.places[number] = stands.place
                        request.declined.pop(number, None)
                    elif number not in request.places:
                        request.declined[number] = q.Declined(0, NUMBER_GONE, later=True)
            self._finish(request)
            self._send_on(request.sequencer)

    def _finish(self, request: _Request) -> None:
        number = request.wish.request
        if not request.over or number not in self._requests:
            return
        places = [place for _, place in sorted(request.places.items())]
        if request.declined:
            first = request.declined[min(request.declined)]
            self._desk.emit(q.Failed(number, first.reason, first.later, len(places)))
        else:
            self._desk.emit(q.Done(number, tuple(places)))
        self.give_up(number)
