"""Decide which messages become part of which feed (spec/classic-feeds.md 7).

A FeedBook is a part of the Replicator. It takes what peers offer and what the node publishes, asks
for signatures to be checked and for batches to be made durable, and says what became durable, what
was refused and who forked. Which peer to ask for what is decided elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import BadInput, Malformed
from qbix_node.feeds import private
from qbix_node.feeds.answer import Answer
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.line import Arrival, Line
from qbix_node.feeds.messages import (
    Appended,
    ClassicMessage,
    ForkFound,
    ForkSuspected,
    Head,
    Offered,
    Publish,
    Published,
    PublishRefused,
    Refusal,
    Refused,
)
from qbix_node.feeds.records import (
    Evidence,
    message_key,
    put_evidence,
    put_head,
    put_message,
    unpack_message,
)
from qbix_node.feeds.validation import read_message, signature_check
from qbix_node.wire.references import FeedId, parse_feed
from qbix_node.wire.v8json import JsonValue

WAITING_PER_FEED_MAX = 1024  # messages on their way; also how far ahead of the log one may be
WAITING_MAX = 8192  # in all feeds together
HELD_PER_FEED_MAX = 256  # valid, but earlier ones are missing; the farthest are skipped
HELD_MAX = 2048  # in all feeds together; the feed that has held longest lets go


@dataclass(slots=True)
class FeedBook:
    keys: KeyPair
    tokens: m.Tokens
    heads: dict[FeedId, Head]  # durable; at start, like `forked`, what the store holds
    forked: set[FeedId]  # the first branch is kept, nothing is appended to it any more
    waiting: int = 0  # messages that are on their way into the log
    _accepted: set[FeedId] = field(default_factory=set)
    _lines: dict[FeedId, Line] = field(default_factory=dict)  # where something waits
    _holding: dict[FeedId, None] = field(default_factory=dict)  # where something is held
    _looks: dict[m.Token, list[Arrival]] = field(default_factory=dict)
    _checks: dict[m.Token, FeedId] = field(default_factory=dict)
    _writes: dict[m.Token, FeedId] = field(default_factory=dict)
    _proofs: dict[m.Token, Evidence] = field(default_factory=dict)
    _stamp: int | float = 0  # timestamp of the last message written here

    @property
    def own(self) -> FeedId:
        return FeedId(self.keys.public)

    def accept(self, feed: FeedId) -> None:
        """From now on messages of this feed are taken from peers."""
        self._accepted.add(feed)

    def drop(self, feed: FeedId) -> tuple[m.Effect, ...]:
        """Take no more of it; what the log has, and what is being written, stays."""
        self._accepted.discard(feed)
        answer = Answer()
        if line := self._lines.get(feed):
            self._leave([*line.discard(), *line.let_go()], answer)
            self._save(line, answer)  # the evidence of a fork that waited for that
        return answer.all()

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> tuple[m.Effect, ...]:
        answer = Answer()
        match event:
            case m.Received(peer, Offered() as offered):
                self._offer(peer, offered, answer)
            case m.Requested(Publish() as request):
                self._publish(request, rng, answer)
            case m.Loaded(token, records) if token in self._looks:
                self._looked(self._looks.pop(token), records, answer)
            case m.Verified(token, oks) if token in self._checks:
                self._checked(self._checks.pop(token), oks, answer)
            case m.Persisted(token) if token in self._writes:
                self._saved(self._writes.pop(token), answer)
            case m.Persisted(token) if token in self._proofs:
                proof = self._proofs.pop(token)
                ours, theirs = proof.ours, proof.theirs
                answer.found(ForkFound(ours.author, ours.sequence, ours, theirs))
            case _:
                pass  # a repeat, or meant for another part
        return answer.all()

    # ---- what peers offer ----

    def _offer(self, peer: m.PeerId, offered: Offered, answer: Answer) -> None:
        looks: list[Arrival] = []
        lines: dict[FeedId, Line] = {}
        broken: set[FeedId | None] = set()
        for value in offered.messages:
            message = read_message(value)
            if isinstance(message, Refused):
                feed, sequence = _claims(value)
                broken.add(feed)
                answer.found(Refusal(peer, feed, sequence, message.reason))
                answer.settle(peer)
                continue
            arrival = Arrival(message, offered.received_ms, peer)
            if message.author in broken:  # it rests on what was refused
                answer.settle_arrival(arrival)
            elif line := self._admit(arrival, answer):
                if message.sequence <= line.base:
                    looks.append(arrival)
                else:
                    line.unchecked.append(arrival)
                    lines[message.author] = line
        self._look(looks, answer)
        for line in lines.values():
            self._check(line, answer)

    def _admit(self, arrival: Arrival, answer: Answer) -> Line | None:
        """The line in which it waits from now on, or None: it is settled."""
        message, feed = arrival.message, arrival.message.author
        if not self._takes(feed):
            answer.settle_arrival(arrival)
            return None
        line = self._line(feed)
        if same := line.texts.get(message.encoded):
            same.also = arrival.peer if arrival.peer != same.peer else same.also
            answer.settle_arrival(arrival)
            return None
        if line.tip and line.tip.id == message.id:
            answer.settle_arrival(arrival)
            return None
        full = self.waiting >= WAITING_MAX or len(line.texts) >= WAITING_PER_FEED_MAX
        if full or message.sequence > line.reach + WAITING_PER_FEED_MAX:
            answer.skip(arrival.peer, feed)
            answer.settle_arrival(arrival)
            return None
        self._enter(line, arrival)
        return line

    def _takes(self, feed: FeedId) -> bool:
        return feed in self._accepted and feed not in self.forked

    def _look(self, arrivals: list[Arrival], answer: Answer) -> None:
        """Ask what the log has in their places."""
        if arrivals:
            token = self.tokens.new()
            self._looks[token] = arrivals
            messages = [arrival.message for arrival in arrivals]
            keys = [message_key(message.author, message.sequence) for message in messages]
            answer.effects.append(m.Load(token, tuple(keys)))

    def _looked(
        self, arrivals: list[Arrival], records: tuple[bytes | None, ...], answer: Answer
    ) -> None:
        for arrival, record in zip(arrivals, records, strict=True):
            message, feed = arrival.message, arrival.message.author
            stored = unpack_message(feed, message.sequence, record) if record else None
            if stored is None or stored.id == message.id or not self._takes(feed):
                self._leave([arrival], answer)
                continue
            arrival.rival = stored.message()
            if arrival.valid:
                self._convict(arrival, arrival.rival, answer)
            else:
                self._lines[feed].unchecked.append(arrival)
                self._check(self._lines[feed], answer)

    # ---- signatures ----

    def _check(self, line: Line, answer: Answer) -> None:
        if batch := line.next_checks():
            token = self.tokens.new()
            self._checks[token] = line.feed
            checks = tuple([signature_check(arrival.message) for arrival in batch])
            answer.effects.append(m.Verify(token, checks))

    def _checked(self, feed: FeedId, oks: tuple[bool, ...], answer: Answer) -> None:
        line = self._lines[feed]
        for arrival, ok in zip(line.checking, oks, strict=True):
            arrival.valid = ok
        batch = sorted(line.checking, key=lambda arrival: arrival.message.sequence)
        line.checking = []
        looks: list[Arrival] = []
        wrong: set[m.PeerId | None] = set()  # what else these sent of this feed is not looked at
        for arrival in batch:
            if not self._takes(feed):
                self._leave([arrival], answer)
            elif arrival.peer in wrong:
                self._forsake([arrival], answer)
            elif not arrival.valid:
                wrong.add(arrival.peer)
                self._refuse(line, arrival, answer)
            elif arrival.message.sequence <= line.base and arrival.rival is None:
                looks.append(arrival)  # the log has grown meanwhile
            elif astray := self._place(line, arrival, answer):
                wrong.add(astray.peer)
        self._bound_held(line, answer)
        self._look(looks, answer)
        self._save(line, answer)
        self._check(line, answer)

    def _refuse(self, line: Line, arrival: Arrival, answer: Answer) -> None:
        sequence, reason = arrival.message.sequence, "signature does not match"
        if arrival.peer is not None:
            answer.found(Refusal(arrival.peer, line.feed, sequence, reason))
        self._leave([arrival], answer)
        self._forsake(line.discard(arrival.peer, above=sequence), answer)

    def _place(self, line: Line, arrival: Arrival, answer: Answer) -> Arrival | None:
        """Put a valid message where it belongs; gives back one that follows another branch."""
        message = arrival.message
        ours = arrival.rival or line.find(message.sequence)
        if ours is None:
            line.held[message.sequence] = arrival
            return self._join(line, answer)
        self._convict(arrival, ours, answer)
        return None

    def _join(self, line: Line, answer: Answer) -> Arrival | None:
        astray = line.join()
        if astray is not None and astray.peer is not None:
            answer.found(ForkSuspected(astray.peer, line.feed, line.reach))
            self._leave([astray], answer)
            self._forsake(line.discard(astray.peer, above=line.reach), answer)
        return astray

    def _forsake(self, arrivals: Iterable[Arrival], answer: Answer) -> None:
        """Let go what came with something wrong; who sent the same, too, is asked again."""
        for arrival in arrivals:
            answer.skip(arrival.also, arrival.message.author)
        self._leave(arrivals, answer)

    def _convict(self, arrival: Arrival, ours: ClassicMessage, answer: Answer) -> None:
        """Two valid messages for one place: keep both, and append nothing more.

        One such pair is kept a feed. It convicts; more would only fill the disk.
        """
        assert ours.id != arrival.message.id  # one id means one signature, valid for one text
        feed = arrival.message.author
        line = self._lines[feed]
        self.forked.add(feed)
        line.proof = Evidence(arrival.received_ms, ours, arrival.message)
        self._leave([arrival, *line.discard()], answer)
        if not line.unsaved:  # else that is saved first
            self._save(line, answer)

    def _bound_held(self, line: Line, answer: Answer) -> None:
        for arrival in line.held.values():
            answer.settle_arrival(arrival)  # else the missing one could not come from the same peer
        while len(line.held) > HELD_PER_FEED_MAX:
            self._let_go([line.held.pop(max(line.held))], answer)
        if line.held:
            self._holding[line.feed] = None
        while self._held() > HELD_MAX:
            longest = self._lines[next(iter(self._holding))]
            del self._holding[longest.feed]
            arrivals, longest.held = list(longest.held.values()), {}
            self._let_go(arrivals, answer)

    def _held(self) -> int:
        return sum(len(self._lines[feed].held) for feed in self._holding)

    def _let_go(self, arrivals: Iterable[Arrival], answer: Answer) -> None:
        for arrival in arrivals:
            answer.skip(arrival.peer, arrival.message.author)
            answer.skip(arrival.also, arrival.message.author)
        self._leave(arrivals, answer)

    # ---- into the log ----

    def _publish(self, wish: Publish, rng: m.Rng, answer: Answer) -> None:
        line = self._line(self.own)
        if reason := self._obstacle(line):
            answer.found(PublishRefused(wish.request, reason))
            return
        stamp = self._next_stamp(wish.timestamp_ms)
        content, readers = wish.content, wish.readers
        try:
            if readers is not None:
                content = private.seal(content, readers, self.keys, line.tip, rng.randbytes)
            message = make_message(self.keys, line.tip, content, stamp)
        except BadInput as error:
            answer.found(PublishRefused(wish.request, str(error), bad_content=True))
            return
        self._stamp = stamp
        arrival = Arrival(message, wish.timestamp_ms, None, wish.request, valid=True)
        self._enter(line, arrival)
        line.unsaved.append(arrival)
        line.tip = message.head
        self._save(line, answer)

    def _obstacle(self, line: Line) -> str:
        if self.own in self.forked:
            return "this feed is forked: nothing can be appended to it"
        if line.unchecked or line.checking or line.held:
            return "peers are sending messages of this feed that the store lacks: wait for them"
        if self.waiting >= WAITING_MAX or len(line.texts) >= WAITING_PER_FEED_MAX:
            return "too many messages wait for the disk"
        return ""

    def _next_stamp(self, now_ms: int) -> int | float:
        """Strictly ascending: ssb-db2 hands on the history of a feed in the order of its stamps."""
        return now_ms if now_ms > self._stamp else round(self._stamp + 0.001, 3)

    def _save(self, line: Line, answer: Answer) -> None:
        if batch := line.next_writes():
            token = self.tokens.new()
            self._writes[token] = line.feed
            writes = [put_message(arrival.message, arrival.received_ms) for arrival in batch]
            head = put_head(line.feed, batch[-1].message.head)
            answer.effects.append(m.Persist(token, (*writes, head)))
        elif line.proof and not line.saving:
            # SPEC classic-feeds 8: nothing is appended any more once the evidence is there.
            token = self.tokens.new()
            self._proofs[token], line.proof = line.proof, None
            answer.effects.append(m.Persist(token, (put_evidence(self._proofs[token]),)))

    def _saved(self, feed: FeedId, answer: Answer) -> None:
        line = self._lines[feed]
        saved, line.saving = line.saving, []
        line.durable = self.heads[feed] = saved[-1].message.head
        for source, arrivals in groupby(saved, key=lambda arrival: arrival.peer):
            run = list(arrivals)
            first, last = run[0].message.sequence, run[-1].message.sequence
            answer.found(Appended(feed, first, last, source))
            for arrival in run:
                if arrival.request is not None:
                    answer.found(Published(arrival.request, arrival.message))
        self._leave(saved, answer)
        self._save(line, answer)

    # ---- what waits ----

    def _line(self, feed: FeedId) -> Line:
        return self._lines.get(feed) or Line(feed, self.heads.get(feed), self.heads.get(feed))

    def _enter(self, line: Line, arrival: Arrival) -> None:
        self._lines[line.feed] = line
        line.texts[arrival.message.encoded] = arrival
        self.waiting += 1

    def _leave(self, arrivals: Iterable[Arrival], answer: Answer) -> None:
        for arrival in arrivals:
            line = self._lines[arrival.message.author]
            del line.texts[arrival.message.encoded]
            self.waiting -= 1
            answer.settle_arrival(arrival)
            if not line.texts:
                del self._lines[line.feed]
                self._holding.pop(line.feed, None)


def _claims(value: JsonValue) -> tuple[FeedId | None, int | None]:
    """Of which feed and where a refused value says to be."""
    if not isinstance(value, dict):
        return None, None
    author, sequence = value.get("author"), value.get("sequence")
    try:
        feed = parse_feed(author) if isinstance(author, str) else None
    except Malformed:
        feed = None
    return feed, sequence if type(sequence) is int else None
