"""Streams of which a node keeps nothing but the newest Head (spec/gossip.md 9).

Such a stream is to gossip a log of which only peaks are here. HeadsOnly is a part of a Gossiper:
it decides when another Head takes the place of the one that is kept, and what peers are asked so
that none is passed over unseen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from qbix_node.errors import DamagedStore, Malformed
from qbix_node.gossip.messages import LISTENED_MAX
from qbix_node.gossip.shown import Shown, as_state, difference, of_state
from qbix_node.gossip.work import Claim
from qbix_node.ports import Delete, Put, Rows, Write
from qbix_node.streams.forks import HeadFork
from qbix_node.streams.genesis import Genesis, read_genesis
from qbix_node.streams.messages import read_prefix, read_signed_head
from qbix_node.streams.records import LogState, scan_all
from qbix_node.streams.tree import Hash, Prefix
from qbix_node.wire import fields
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import StreamId, format_stream

MARKS_MAX = 4  # lengths of a log that are known beside that of its Head; the newest
_HEADS_ONLY = b"s/h"

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a Head is beside the one that is kept. `continued`: that was seen to continue it.
    `replaced`: what was kept before, where the new one was not seen to continue it.
    """

    fork: HeadFork | None = None
    continued: bool = False
    taken: bool = False
    replaced: LogState | None = None


@dataclass(slots=True)
class HeadsOnly:
    """`geneses`, `logs`: of the streams in `streams`, as far as anything of them was heard; of a
    log there are peaks and no entries.
    """

    streams: dict[StreamId, None] = field(default_factory=dict)
    geneses: dict[StreamId, Genesis] = field(default_factory=dict)
    logs: dict[StreamId, LogState] = field(default_factory=dict)
    _marks: dict[StreamId, tuple[Prefix, ...]] = field(default_factory=dict)  # under those Heads

    def __contains__(self, stream: StreamId) -> bool:
        return stream in self.streams

    # ---- which ----

    def why_full(self, stream: StreamId) -> str | None:
        if stream in self.streams or len(self.streams) < LISTENED_MAX:
            return None
        return f"the Heads of {LISTENED_MAX} streams are kept already: unfollow some first"

    def begin(
        self, stream: StreamId, genesis: Genesis | None, state: LogState | None
    ) -> list[Write] | str:
        """What to write, or why not. `genesis`, `state`: what is here of it."""
        if stream in self.streams:
            return []
        if reason := self.why_full(stream):
            return reason
        self.streams[stream] = None
        if genesis is not None:
            self.geneses[stream] = genesis
        if state is not None:
            self.logs[stream] = state
        return [self._put(stream)]

    def end(self, stream: StreamId) -> list[Write]:
        if stream not in self.streams:
            return []
        del self.streams[stream]
        self.geneses.pop(stream, None)
        self.logs.pop(stream, None)
        self._marks.pop(stream, None)
        return [Delete(_HEADS_ONLY + stream)]

    def meet(self, genesis: Genesis) -> list[Write]:
        """Its genesis has come."""
        stream = genesis.stream
        if stream not in self.streams or stream in self.geneses:
            return []
        self.geneses[stream] = genesis
        return [self._put(stream)]

    # ---- a Head ----

    def judge(self, claim: Claim) -> Finding:
        """Of a stream whose genesis is here, with the right signatures."""
        head, stream = claim.shown.head, claim.shown.head.stream
        shown, state = Shown(claim.shown, claim.prefix), self.logs.get(stream)
        if state is None:
            return Finding(taken=self._take(claim))
        ours = self._ours(state)
        if fork := difference(self.geneses[stream], ours, shown):
            return Finding(fork)
        kept = state.signed.head
        if head.identity == kept.identity:
            better = state.frontier and (claim.end or claim.prefix.length > state.length)
            taken = bool(better) and self._take(claim)
            self._mark(stream, claim.prefix)
            return Finding(continued=True, taken=taken)
        if ours.continues(shown):
            return Finding(continued=True)
        if head.length < kept.length:
            return Finding()
        if shown.continues(ours):
            return Finding(taken=self._take(claim))
        # What was kept was never shown up to its end: no Head can be seen to continue it.
        begins = (claim.prefix.length, claim.prefix.peaks) == (state.length, state.peaks)
        if begins and state.frontier and self._take(claim):
            return Finding(taken=True, replaced=state)
        return Finding()

    def _take(self, claim: Claim) -> bool:
        """Keep it; where nothing under it is shown, no other could be compared with it."""
        head, prefix = claim.shown.head, claim.prefix
        if claim.end:
            prefix = Prefix(head.length, claim.end, ())
        if not prefix.peaks:
            return False
        genesis = self.geneses[head.stream]
        self._marks.pop(head.stream, None)
        self.logs[head.stream] = as_state(genesis, claim.shown.signed, prefix)
        return True

    def _ours(self, state: LogState) -> Shown:
        return replace(of_state(state), more=self._marks.get(state.signed.head.stream, ()))

    def _mark(self, stream: StreamId, prefix: Prefix) -> None:
        """Somebody has shown these leaves under the Head that is kept: others may ask for them."""
        if prefix.peaks and prefix.length != self.logs[stream].length:
            others = [each for each in self._marks.get(stream, ()) if each.length != prefix.length]
            self._marks[stream] = (*others, prefix)[-MARKS_MAX:]

    def answer(
        self, stream: StreamId, prefix: Prefix
    ) -> tuple[tuple[Hash, ...], tuple[Hash, ...]] | None:
        """Peaks and frontier from there to the Head that is kept, where they are known."""
        state = self.logs[stream]
        known = self._ours(state).known().get(prefix.length)
        if known is None or not known.peaks:
            return None
        return known.peaks if not prefix.peaks else (), known.frontier

    def write(self, stream: StreamId) -> list[Write]:
        return [self._put(stream)] if stream in self.streams else []

    def _put(self, stream: StreamId) -> Put:
        genesis, state = self.geneses.get(stream), self.logs.get(stream)
        known = None if state is None else (state.signed.packable(), *state.prefix)
        record = b"" if genesis is None else pack((genesis.encoded, known))
        return Put(_HEADS_ONLY + stream, record)


def read_heads_only(rows: Rows) -> HeadsOnly:
    """Raises DamagedStore."""
    kept = HeadsOnly()
    for key, record in scan_all(rows, _HEADS_ONLY):
        stream = StreamId(key[len(_HEADS_ONLY) :])
        kept.streams[stream] = None
        try:
            if record:
                _read(kept, stream, record)
        except Malformed as error:
            name = format_stream(stream) if len(stream) == 32 else stream.hex()
            raise DamagedStore(f"the Head that is kept of {name}: {error}") from error
    return kept


def _read(kept: HeadsOnly, stream: StreamId, record: bytes) -> None:
    what = "kept Head"
    encoded, known = fields.array(unpack(record, what), what, size=2)
    genesis = read_genesis(fields.data(encoded, f"{what}: genesis"))
    if genesis.stream != stream:
        raise Malformed("its genesis is of another stream")
    kept.geneses[stream] = genesis
    if known is None:
        return
    signed, length, peaks, frontier = fields.array(known, what, size=4)
    head = read_signed_head(signed)
    prefix = read_prefix(length, peaks, frontier, what)
    if head.head.stream != stream or not prefix.leads_to(head.head.root, head.head.length):
        raise Malformed("what is known of it doesn't lead to its root")
    kept.logs[stream] = as_state(genesis, head, prefix)


@dataclass(frozen=True, slots=True)
class Layered(Mapping[StreamId, _Value]):
    """What is in either; the first one goes first."""

    first: Mapping[StreamId, _Value]
    second: Mapping[StreamId, _Value]

    def __getitem__(self, stream: StreamId) -> _Value:
        return self.first[stream] if stream in self.first else self.second[stream]

    def __iter__(self) -> Iterator[StreamId]:
        yield from self.first
        yield from [each for each in self.second if each not in self.first]

    def __len__(self) -> int:
        return len(list(iter(self)))
