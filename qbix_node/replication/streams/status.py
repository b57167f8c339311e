"""How a stream is here, for whoever looks at it."""

from dataclasses import dataclass

from qbix_node.streams.caution import Doubt
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.records import LogState
from qbix_node.streams.resolution import Resolution
from qbix_node.wire.references import StreamId


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """`genesis`, `state`: None where nothing of it is here yet."""

    stream: StreamId
    genesis: Genesis | None
    state: LogState | None
    own: bool
    following: bool
    headers_only: bool  # followed without contents
    stopped: str | None  # why it takes no entries any more
    resolution: Resolution | None  # of a fork
    claimed: int  # the greatest length that a connected peer claims
    waits: Doubt | str | None  # why nothing is appended to it for now, though it is an own one
