"""Contents over links: peers are asked, and answered, as `qbix.contents` says; people change what
is stored (spec/replication.md 10.1).
"""

from collections.abc import Awaitable, Callable
from itertools import count
from weakref import WeakKeyDictionary

import structlog
import trio

from qbix_node import machines as m
from qbix_node.errors import BadInput, Malformed, Temporary
from qbix_node.net.link import Body, BodyKind, Link, LinkClosed, RemoteRefusal, Stream, StreamEnded
from qbix_node.net.methods import Method, Methods
from qbix_node.ports import Store
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.contents.allowance import Allowances
from qbix_node.streams.messages import Segment
from qbix_node.streams.shelf import (
    AnsweredContents,
    Edit,
    Fill,
    Gaps,
    answer_contents,
    count_gaps,
)
from qbix_node.wire.references import StreamId, format_feed, format_stream
from qbix_node.wire.v8json import JsonValue

ANSWER_S = 90.0  # a peer that takes longer for 1 MiB is asked later again

log = structlog.get_logger()


class StreamContents:
    """`serves`: whether a peer may have contents of a stream; `post`: to the StreamReplicator."""

    def __init__(
        self,
        store: Store,
        serves: Callable[[m.PeerId, StreamId], bool],
        post: Callable[[m.Event], Awaitable[None]],
    ) -> None:
        self._store = store
        self._serves = serves
        self._post = post
        self._askers: dict[m.PeerId, _Asker] = {}
        self._allowances = Allowances()
        self._turns: WeakKeyDictionary[Link, trio.Lock] = WeakKeyDictionary()
        self._numbers = count(1)
        self._changes: dict[int, _Change] = {}
        self._news: dict[StreamId, trio.Event] = {}
        self.fetched = 0  # contents since the start

    # ---- for the network ----

    def methods(self) -> Methods:
        return {c.METHOD: Method("duplex", self._answer)}

    async def on_link(self, link: Link) -> None:
        """Ask the peer what is to be asked, until cancelled."""
        asker = self._askers[link.peer] = _Asker(link, self._post)
        try:
            await asker.run()
        finally:
            if self._askers.get(link.peer) is asker:
                del self._askers[link.peer]

    async def _answer(
        self, link: Link, arguments: list[JsonValue], stream: Stream | None
    ) -> JsonValue:
        assert stream is not None
        c.check_arguments(arguments)
        turn = self._turns.setdefault(link, trio.Lock())
        try:
            while bodies := await stream.receive_many():
                for body in bodies:
                    async with turn:  # however many conversations the peer opens
                        question = c.read_question(_binary(body))
                        await trio.sleep(self._allowances.wait_s(link.peer, trio.current_time()))
                        answer = self._read(link.peer, question)
                        await stream.send([Body(BodyKind.BINARY, c.encode_answer(answer))])
        except (StreamEnded, RemoteRefusal, LinkClosed):
            pass  # nobody waits for an answer any more
        return None

    def _read(self, peer: m.PeerId, question: c.WantContents) -> c.Contents:
        """Who may not read the stream is answered as if nothing of it were here."""
        answered = AnsweredContents((None,) * len(question.places), 0)
        if self._serves(peer, question.stream):
            answered = answer_contents(self._store, question.stream, question.places)
        self._allowances.charge(peer, answered.read, trio.current_time())
        return c.Contents(answered.contents)

    # ---- the StreamReplicator's decisions ----

    def ask(self, peer: m.PeerId, question: c.WantContents) -> None:
        """Never waits: there is one question to a peer at a time."""
        if asker := self._askers.get(peer):
            asker.put(question)

    def found(self, finding: object) -> None:
        match finding:
            case c.Changed(number) | c.ChangeRefused(number) if number in self._changes:
                self._changes.pop(number).decide(finding)
            case c.Filled(stream, peer, contents):
                self.fetched += contents if peer else 0
                self._news.pop(stream, trio.Event()).set()
            case c.ContentsRefused(peer, stream, reason):
                named = {"peer": format_feed(peer), "stream": format_stream(stream)}
                log.warning("contents.refused", reason=reason, **named)
            case _:
                pass

    # ---- for the daemon ----

    async def change(self, edit: Edit) -> c.Changed:
        """Returns once it is durable. Raises Temporary."""
        number, change = next(self._numbers), _Change()
        self._changes[number] = change
        try:
            await self._post(m.Requested(c.Change(number, edit)))
            await change.decided.wait()
        finally:
            self._changes.pop(number, None)
        if change.done is None:
            raise Temporary(change.refusal, hint="wait until that is done")
        return change.done

    async def fill(self, segment: Segment, length: int) -> int:
        """Where contents are missing in a log of that length that a file has. Raises BadInput."""
        stream, stop = segment.stream, min(segment.stop, length)
        gaps = await self.gaps(stream, segment.first, stop)
        if segment.first >= stop or not gaps.missing + gaps.dropped:
            return 0
        brought = {
            place: content
            for place, content in enumerate(segment.contents, segment.first)
            if content is not None and place < stop
        }
        done = await self.change(Fill(stream, brought, dropped=True))
        if done.wrong is not None:
            raise BadInput(f"entry {done.wrong}: this is not its content")
        return done.contents

    async def gaps(self, stream: StreamId, first: int, stop: int) -> Gaps:
        """What is missing from `first` to before `stop`."""
        missing, dropped, asked = 0, 0, 0
        for part in count_gaps(self._store, stream, first, stop):
            missing, dropped = missing + part.missing, dropped + part.dropped
            asked += part.asked
            await trio.lowlevel.checkpoint()
        return Gaps(missing, dropped, asked)

    def coming(self, stream: StreamId) -> trio.Event:
        """Set once some more contents have come."""
        return self._news.setdefault(stream, trio.Event())


class _Change:
    """Something that people asked for, until it is durable or refused."""

    def __init__(self) -> None:
        self.decided = trio.Event()
        self.done: c.Changed | None = None
        self.refusal = ""

    def decide(self, finding: c.Changed | c.ChangeRefused) -> None:
        if isinstance(finding, c.Changed):
            self.done = finding
        else:
            self.refusal = finding.reason
        self.decided.set()


class _Asker:
    """Our questions to one peer."""

    def __init__(self, link: Link, post: Callable[[m.Event], Awaitable[None]]) -> None:
        self._link = link
        self._post = post
        self._put, self._questions = trio.open_memory_channel[c.WantContents](1)
        self._talk: Stream | None = None

    def put(self, question: c.WantContents) -> None:
        self._put.send_nowait(question)

    async def run(self) -> None:
        async for question in self._questions:
            await self._post(m.Received(self._link.peer, await self._ask(question)))

    async def _ask(self, question: c.WantContents) -> c.Contents | c.NoContents:
        try:
            with trio.move_on_after(ANSWER_S):
                return await self._converse(question)
            if self._talk is not None:  # a late answer would be taken for the next one
                await self._talk.end("no answer in time")
        except RemoteRefusal:
            self._talk = None
            return c.NoContents(never=True)
        except (StreamEnded, LinkClosed):
            pass
        except Malformed as error:
            self._link.close(str(error))
        self._talk = None
        return c.NoContents()

    async def _converse(self, question: c.WantContents) -> c.Contents:
        if self._talk is None:
            self._talk = await self._link.open(c.METHOD, c.ARGUMENTS, "duplex")
        await self._talk.send([Body(BodyKind.BINARY, c.encode_question(question))])
        bodies = await self._talk.receive_many()
        if not bodies:
            raise StreamEnded("the peer ended it")
        if len(bodies) > 1:
            raise Malformed(f"{c.METHOD}: more than one answer")
        return c.read_answer(_binary(bodies[0]))


def _binary(body: Body) -> bytes:
    """Raises Malformed."""
    if body.kind is not BodyKind.BINARY:
        raise Malformed(f"{c.METHOD}: a packet that is not binary")
    return body.data
