"""Contents of streams: those that are kept are right, and who wants some gets them from an honest
neighbour who has them (spec/replication.md 10.1).
"""

from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256

from netsim.checks.check import Check, View
from netsim.checks.complaining import Complaint
from netsim.checks.converging import Standings
from netsim.checks.resolving import CLOSED, FORKED
from qbix_node.ports import Rows
from qbix_node.wire.packing import unpack
from qbix_node.wire.references import StreamId

_FETCHED = (
    "spec/replication.md 10.1: What is missing of a stream that is followed whole is fetched by"
    " itself, and what the operator asked for of any stream."
)
RESTS_ON = (_FETCHED,)

_FOLLOW, _HEADERS = b"r/s", b"h"
_LEAVES, _CAME, _LATE, _MISSING = b"s/e", b"s/c", b"s/d", b"s/m"
_PLAIN, _DROPPED, _ASKED = range(3)
_BESIDE_MAX = 64 * 1024
_ALL = 1 << 30

_Lacking = dict[StreamId, dict[int, int]]  # of each place, which of the three it is


def lacking(rows: Rows) -> _Lacking:
    """What is missing here, by spec/streams.md 11."""
    found: _Lacking = {}
    for key, record in rows.scan(_MISSING, _MISSING + b"\xff" * 37, limit=_ALL):
        stream, first = StreamId(key[3:35]), int.from_bytes(key[35:], "big")
        places = found.setdefault(stream, {})
        row = unpack(record, "missing")
        assert isinstance(row, tuple)
        for kind, counted in enumerate(row):
            places.update(dict.fromkeys([first + each for each in counted], kind))
    return found


class Fetching:
    """Asked for are contents that were there when faults ended: those of a stream that goes on
    growing may be late, as whoever had none is asked again after a rest. Nobody speaks of a stopped
    stream, so nobody is asked for what is missing of it.
    """

    def __init__(self, view: View) -> None:
        self._view = view
        self._lengths: dict[StreamId, int] | None = None  # when it was asked first

    def unfetched(
        self, near: Mapping[int, Collection[int]], replicated: Mapping[int, Standings]
    ) -> Iterator[Complaint]:
        """`near`: honest nodes that are connected."""
        lengths = self._lengths = self._lengths or self._grown()
        missing = {node: lacking(site.disk) for node, site in self._view.honest.items()}
        for node, streams in missing.items():
            for stream, places in streams.items():
                if stream in replicated[node] and replicated[node][stream] not in (FORKED, CLOSED):
                    wanted = _wanted(self._view.honest[node].disk, stream, places)
                    old = [place for place in wanted if place < lengths.get(stream, 0)]
                    holders = self._holders(near[node], stream, replicated)
                    yield from self._of(node, stream, old, holders, missing)

    def _grown(self) -> dict[StreamId, int]:
        branches, found = self._view.branches, dict[StreamId, int]()
        for node in self._view.honest:
            for stream in branches.streams_of(node):
                found[stream] = max(found.get(stream, 0), branches.length(node, stream))
        return found

    def _holders(
        self, near: Collection[int], stream: StreamId, replicated: Mapping[int, Standings]
    ) -> list[int]:
        return [
            other
            for other in near
            if stream in replicated[other] and not _is_bare(self._view.honest[other].disk, stream)
        ]

    def _of(
        self,
        node: int,
        stream: StreamId,
        places: list[int],
        holders: list[int],
        missing: Mapping[int, _Lacking],
    ) -> Iterator[Complaint]:
        for place in places:
            having = [other for other in holders if place not in missing[other].get(stream, {})]
            for other in having:
                if _gives(self._view, other, node, stream, place):
                    name = f"content {place} of {self._view.name_stream(stream)}"
                    what = f"node {node} wants {name}, which node {other} has"
                    yield Complaint(_FETCHED, what)
                    break


def _wanted(rows: Rows, stream: StreamId, places: Mapping[int, int]) -> list[int]:
    kinds = (_ASKED,) if _is_bare(rows, stream) else (_ASKED, _PLAIN)
    return [place for place, kind in places.items() if kind in kinds]


def _is_bare(rows: Rows, stream: StreamId) -> bool:
    return rows.get(_FOLLOW + stream) == _HEADERS


def _gives(view: View, holder: int, node: int, stream: StreamId, place: int) -> bool:
    """Whether both have that entry, of one branch, and may read it."""
    planned = view.world.streams.by_id.get(stream)
    if planned is None or not (planned.may_read(node) and planned.may_read(holder)):
        return False
    here, there = view.branches.end(node, stream), view.branches.end(holder, stream)
    if here is None or there is None or min(here.length, there.length) <= place:
        return False
    return here.at(place + 1) is there.at(place + 1)


class ContentsRight(Check):
    """Looked at in the end: each content is the one that its header names, or it is missed."""

    name = "contents are those that their headers name"
    guards = "spec/streams.md 3: content_hash is the SHA-256 of the content"

    def finish(self) -> None:
        for node, site in self.view.honest.items():
            missing = lacking(site.disk)
            for stream in self.view.branches.streams_of(node):
                for what in _faults(site.disk, stream, missing.get(stream, {})):
                    self.violated(node, f"{self.view.name_stream(stream)}: {what}")


def _faults(rows: Rows, stream: StreamId, missing: Mapping[int, int]) -> Iterator[str]:
    for key, record in rows.scan(_LEAVES + stream, _LEAVES + stream + b"\xff" * 5, limit=_ALL):
        first, run = int.from_bytes(key[-4:], "big"), unpack(record, "run")
        assert isinstance(run, tuple)
        came = rows.get(_CAME + stream + key[-4:])
        contents = unpack(came, "contents") if came is not None else (None,) * len(run[0])
        assert isinstance(contents, tuple)
        for place, (leaf, content) in enumerate(zip(run[0], contents, strict=True), first):
            if place == 0:
                continue
            late = rows.get(_LATE + stream + place.to_bytes(4, "big")) if content is None else None
            if fault := _fault(leaf, content if late is None else late, missed=place in missing):
                yield f"entry {place}: {fault}"


def _fault(leaf: bytes, content: bytes | None, *, missed: bool) -> str:
    header = unpack(leaf, "header")
    assert isinstance(header, tuple)
    size, hash_ = header[9:11]
    if content is None:
        return "" if missed or size > _BESIDE_MAX else "its content is gone, and nobody misses it"
    if missed:
        return "its content is here, and missed"
    return "" if sha256(content).digest() == hash_ else "this is not its content"


CONTENT_CHECKS = (ContentsRight,)
