"""Which streams this node replicates: those that it owns and those that its people follow."""

from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.errors import DamagedStore
from qbix_node.ports import Rows
from qbix_node.replication.messages import Denied
from qbix_node.replication.streams.messages import FollowStream, UnfollowStream
from qbix_node.wire.references import StreamId, format_stream

STREAMS_MAX = 10_000  # that are followed
_FOLLOW = b"r/s"
_WHOLE, _HEADERS = b"", b"h"  # what is kept of a followed stream


def read_choice(rows: Rows) -> "StreamChoice":
    """Raises DamagedStore."""
    found = rows.scan(_FOLLOW, _FOLLOW + b"\xff" * 33, limit=STREAMS_MAX)
    streams = {StreamId(key[len(_FOLLOW) :]): kept for key, kept in found}
    if any(len(stream) != 32 for stream in streams) or {*streams.values()} - {_WHOLE, _HEADERS}:
        raise DamagedStore("the record of a followed stream is damaged")
    bare = [stream for stream, kept in streams.items() if kept == _HEADERS]
    return StreamChoice(followed=dict.fromkeys(streams), bare=dict.fromkeys(bare))


@dataclass(slots=True)
class StreamChoice:
    """`owned`: made here; `bare`: of those followed, the ones without contents. Dicts, as sets have
    no order.
    """

    owned: dict[StreamId, None] = field(default_factory=dict)
    followed: dict[StreamId, None] = field(default_factory=dict)
    bare: dict[StreamId, None] = field(default_factory=dict)

    def replicated(self) -> list[StreamId]:
        return [*self.owned, *[each for each in self.followed if each not in self.owned]]

    def replicates(self, log: StreamId, /) -> bool:
        return log in self.followed or log in self.owned

    def change(self, change: FollowStream | UnfollowStream) -> list[m.Write] | Denied:
        """Decide and say what to write; nothing where it is so already."""
        stream = change.stream
        match change:
            case FollowStream():
                return self._follow(change)
            case UnfollowStream() if stream in self.owned:
                return Denied(change, f"{format_stream(stream)} is this node's own")
            case UnfollowStream() if stream in self.followed:
                del self.followed[stream]
                self.bare.pop(stream, None)
                return [m.Delete(_FOLLOW + stream)]
            case UnfollowStream():
                return []

    def _follow(self, change: FollowStream) -> list[m.Write] | Denied:
        stream = change.stream
        if stream in self.owned and change.headers_only:
            return Denied(change, f"{format_stream(stream)} is this node's own: it is kept whole")
        if stream in self.followed and change.headers_only == (stream in self.bare):
            return []
        if stream not in self.followed and len(self.followed) >= STREAMS_MAX:
            reason = f"{STREAMS_MAX} streams are followed already: unfollow some first"
            return Denied(change, reason)
        self.followed[stream] = None
        if change.headers_only:
            self.bare[stream] = None
        else:
            self.bare.pop(stream, None)
        return [m.Put(_FOLLOW + stream, _HEADERS if change.headers_only else _WHOLE)]
