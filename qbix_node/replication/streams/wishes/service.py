"""What the daemon asks of a StreamReplicator, until it is durable or refused."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from qbix_node import machines as m
from qbix_node.errors import BadInput, LocalError, Temporary
from qbix_node.replication.messages import Denied, Granted
from qbix_node.streams.messages import Appended, AppendRefused


@dataclass(slots=True)
class _Wish:
    decided: trio.Event = field(default_factory=trio.Event)
    done: Appended | None = None
    refusal: LocalError | None = None


@dataclass(slots=True)
class Wishes:
    """`post`: to the StreamReplicator."""

    post: Callable[[m.Event], Awaitable[None]]
    _waiting: dict[object, deque[_Wish]] = field(default_factory=dict)

    async def ask(self, name: object, request: object) -> Appended | None:
        """`name`: as the answer names the request. Raises LocalError."""
        wish = _Wish()
        wishes = self._waiting.setdefault(name, deque())
        wishes.append(wish)
        try:
            await self.post(m.Requested(request))
        except trio.Cancelled:
            wishes.remove(wish)  # else the answer to the next one would be taken for its own
            raise
        await wish.decided.wait()
        if wish.refusal is not None:
            raise wish.refusal
        return wish.done

    def decide(self, finding: Appended | AppendRefused | Granted | Denied) -> None:
        """Requests are decided in the order in which they were made."""
        wishes = self._waiting[finding.request]
        wish = wishes.popleft()
        if not wishes:
            del self._waiting[finding.request]
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
