"""What people ask of the StreamReplicator: each waits until that is durable or refused."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

import trio

from qbix_node import machines as m
from qbix_node.errors import BadInput, LocalError, Temporary
from qbix_node.replication.messages import Denied, Granted
from qbix_node.replication.streams.messages import FollowStream, UnfollowStream
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.messages import Append, Appended, AppendRefused, Create, NewEntry
from qbix_node.wire.references import StreamId


@dataclass(slots=True)
class _Wish:
    decided: trio.Event = field(default_factory=trio.Event)
    done: Appended | None = None
    refusal: LocalError | None = None


class Wishes:
    """`post` takes events to the machine. Methods raise LocalError."""

    def __init__(
        self,
        post: Callable[[m.Event], Awaitable[None]],
        wall_clock: Callable[[], float],
    ) -> None:
        self._post = post
        self._wall_clock = wall_clock
        self._wishes: dict[object, deque[_Wish]] = {}
        self._numbers = count(1)

    async def create(self, genesis: Genesis) -> None:
        number = next(self._numbers)
        await self._wish(number, Create(number, genesis, self._now_ms()))

    async def append(self, stream: StreamId, entries: tuple[NewEntry, ...]) -> Appended:
        number = next(self._numbers)
        wish = await self._wish(number, Append(number, stream, entries, self._now_ms()))
        assert wish.done is not None
        return wish.done

    async def change(self, change: FollowStream | UnfollowStream) -> None:
        await self._wish(change, change)

    def hear(self, finding: Appended | AppendRefused | Granted | Denied) -> None:
        """Requests are decided in the order in which they were made."""
        wishes = self._wishes[finding.request]
        wish = wishes.popleft()
        if not wishes:
            del self._wishes[finding.request]
        match finding:
            case Appended():
                wish.done = finding
            case AppendRefused(reason=reason, for_now=True):
                wish.refusal = Temporary(reason)
            case AppendRefused(reason=reason, bad_content=bad_content):
                wish.refusal = BadInput(reason) if bad_content else LocalError(reason)
            case Denied(reason=reason):
                wish.refusal = LocalError(reason)
            case Granted():
                pass
        wish.decided.set()

    def _now_ms(self) -> int:
        return int(1000 * self._wall_clock())

    async def _wish(self, name: object, request: object) -> _Wish:
        wish = _Wish()
        wishes = self._wishes.setdefault(name, deque())
        wishes.append(wish)
        try:
            await self._post(m.Requested(request))
        except trio.Cancelled:
            wishes.remove(wish)  # else the answer to the next one would be taken for its own
            raise
        await wish.decided.wait()
        if wish.refusal is not None:
            raise wish.refusal
        return wish
