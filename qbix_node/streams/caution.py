"""Why this node appends nothing to a stream of its own for now (spec/streams.md 10).

A StreamBook obeys it. When a doubt begins and ends is decided where Heads are compared.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from qbix_node.errors import DamagedStore
from qbix_node.ports import Delete, Put, Rows, Write
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState
from qbix_node.wire.references import StreamId

PATIENCE_S = 10.0  # after a clean stop nobody is waited for longer, if nothing else is set
APPEND_WAITS = 1.2  # of that, so that a stream is trusted before an append is given up

_UNSURE = b"s/u"
_SCAN = 256


class Doubt(StrEnum):
    """Whether the log here is all that this node has signed, and why nobody knows."""

    STARTED = (
        "this node has just started, and its peers have not said yet whether they have more of"
        " that stream"
    )
    CUT_OFF = (
        "the home of this node was cut off or put back, or its key was brought along, and no peer"
        " has said since whether it has more of that stream"
    )
    CAME = "that stream came from others, and no peer has said yet whether it has more of it"

    @property
    def lasts(self) -> bool:
        """Time does not end it, nor does a restart."""
        return self is not Doubt.STARTED


@dataclass(frozen=True, slots=True)
class Doubted:
    stream: StreamId
    doubt: Doubt


@dataclass(frozen=True, slots=True)
class Trusted:
    """There is no doubt any more; Heads that were shown go on to count."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class ShownAhead:
    """This node's key has signed a Head of that length, beyond the log here."""

    stream: StreamId
    length: int


@dataclass(frozen=True, slots=True)
class CautionChanged:
    """Found: appending may be possible now, or no longer."""

    stream: StreamId


@dataclass(slots=True)
class Caution:
    """`ahead`: the greatest length of a Head of our own that somebody has shown. `signed`: the
    length of the newest Head that this node knows to have signed together with others, or 0.
    """

    doubts: dict[StreamId, Doubt] = field(default_factory=dict)
    ahead: dict[StreamId, int] = field(default_factory=dict)
    signed: Callable[[StreamId], int] = lambda stream: 0

    def heed(self, word: Doubted | Trusted | ShownAhead) -> None:
        match word:
            case Doubted(stream, doubt):
                self.doubts[stream] = doubt
            case Trusted(stream):
                self.doubts.pop(stream, None)
            case ShownAhead(stream, length):
                self.ahead[stream] = max(length, self.ahead.get(stream, 0))

    def began_here(self, genesis: Genesis, key: bytes) -> bool:
        """Whether this node proposed it to other owners, and nothing since."""
        alone = genesis.owners.only is not None
        return not alone and genesis.sequencer == key and self.signed(genesis.stream) == 1

    def doubt_what_comes(self, genesis: Genesis, state: LogState, key: AuthorId) -> list[Write]:
        """Of a log that others send from its beginning: if it is ours, we may have signed more."""
        stream = genesis.stream
        if genesis.uniqueness is not Uniqueness.GOSSIP or state.owners.index(key) is None:
            return []
        if self.began_here(genesis, key):
            return []
        self.doubts[stream] = Doubt.CAME
        return [put_doubt(stream, self.ahead.get(stream, 0))]

    def why_wait(self, stream: StreamId, state: LogState) -> Doubt | str | None:
        """A Doubt, or what is known and only entries can end."""
        if state.frontier and state.owners.only is not None:
            return "entries of that stream, which this node signed, are not here again yet"
        if (shown := self.ahead.get(stream, 0)) > state.length:
            return (
                f"a peer has shown a Head of length {shown} that this node's key has signed, and"
                f" only {state.length} of that are here: this is an older copy, or the key is used"
                " elsewhere, too"
            )
        return self.doubts.get(stream)


def owned(
    geneses: Iterable[Genesis], logs: Mapping[StreamId, LogState], key: bytes
) -> list[Genesis]:
    """Those of which it is an owner, be it with others."""
    now = [(each, logs.get(each.stream, each).owners) for each in geneses]
    return [genesis for genesis, owners in now if owners.index(key) is not None]


def caution_at_start(rows: Rows, own: Iterable[Genesis], *, clean: bool) -> Caution:
    """Of a node that may not be the last one that used this home. Raises DamagedStore."""
    kept, caution = read_doubts(rows), Caution()
    for genesis in own:
        stream = genesis.stream
        # SPEC gossip 2: nobody answers about other streams, so of them only time can end it.
        lasts = genesis.uniqueness is Uniqueness.GOSSIP and (not clean or stream in kept)
        caution.doubts[stream] = Doubt.CUT_OFF if lasts else Doubt.STARTED
        if ahead := kept.get(stream):
            caution.ahead[stream] = ahead
    return caution


# ---- in the store ----


def put_doubt(stream: StreamId, ahead: int) -> Put:
    """`ahead`: the greatest length of an own Head that was shown, or 0."""
    return Put(_UNSURE + stream, ahead.to_bytes(4, "big"))


def end_doubt(stream: StreamId) -> Delete:
    return Delete(_UNSURE + stream)


def read_doubts(rows: Rows) -> dict[StreamId, int]:
    """The lengths that were put, by stream. Raises DamagedStore."""
    found: dict[StreamId, int] = {}
    start = _UNSURE
    while part := rows.scan(start, _UNSURE + b"\xff" * 33, limit=_SCAN):
        for key, ahead in part:
            if len(ahead) != 4:
                raise DamagedStore(f"the record of a doubt at {key.hex()} is damaged")
            found[StreamId(key[len(_UNSURE) :])] = int.from_bytes(ahead, "big")
        start = part[-1][0] + b"\0"
    return found
