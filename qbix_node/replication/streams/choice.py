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


def read_followed_streams(rows: Rows) -> dict[StreamId, None]:
    """Raises DamagedStore."""
    found = rows.scan(_FOLLOW, _FOLLOW + b"\xff" * 33, limit=STREAMS_MAX)
    streams = {StreamId(key[len(_FOLLOW) :]): None for key, _ in found}
    if any(len(stream) != 32 for stream in streams):
        raise DamagedStore("the record of a followed stream is damaged")
    return streams


@dataclass(slots=True)
class StreamChoice:
    """`owned`: made here. Dicts, as sets have no order."""

    owned: dict[StreamId, None] = field(default_factory=dict)
    followed: dict[StreamId, None] = field(default_factory=dict)

    def replicated(self) -> list[StreamId]:
        return [*self.owned, *[each for each in self.followed if each not in self.owned]]

    def replicates(self, log: StreamId, /) -> bool:
        return log in self.followed or log in self.owned

    def change(self, change: FollowStream | UnfollowStream) -> list[m.Write] | Denied:
        """Decide and say what to write; nothing where it is so already."""
        stream = change.stream
        match change:
            case FollowStream() if stream in self.followed:
                return []
            case FollowStream() if len(self.followed) >= STREAMS_MAX:
                reason = f"{STREAMS_MAX} streams are followed already: unfollow some first"
                return Denied(change, reason)
            case FollowStream():
                self.followed[stream] = None
                return [m.Put(_FOLLOW + stream, b"")]
            case UnfollowStream() if stream in self.owned:
                return Denied(change, f"{format_stream(stream)} is this node's own")
            case UnfollowStream() if stream in self.followed:
                del self.followed[stream]
                return [m.Delete(_FOLLOW + stream)]
            case UnfollowStream():
                return []
