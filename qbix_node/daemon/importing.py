"""Exports that people import (spec/streams.md 9): the same checks as for what peers send."""

from qbix_node.errors import BadInput, LocalError, Malformed, Temporary
from qbix_node.gossip.comparing import VerdictOn
from qbix_node.gossip.service import Gossip
from qbix_node.http.stream_api import StreamImport
from qbix_node.ports import Rows
from qbix_node.replication.streams.files import OtherHistory
from qbix_node.replication.streams.service import StreamReplication
from qbix_node.streams.archive import Frame
from qbix_node.streams.forks import HeadFork, ShownHead, StreamFork, check_fork, check_resolve
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.growth import begin
from qbix_node.streams.messages import Segment, SignedResolve
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.tree import Hash, Prefix, grow, leaf_hashes
from qbix_node.wire.references import StreamId, format_stream


class Imported:
    """What has come of one file so far."""

    def __init__(self, rows: Rows, streams: StreamReplication, gossip: Gossip) -> None:
        self._rows = rows
        self._streams = streams
        self._gossip = gossip
        self._genesis: Genesis
        self._refused: LocalError | None = None  # its entries; what follows them may change that
        self._resolve: SignedResolve | None = None
        self._resolved = False
        self._peaks: tuple[Hash, ...] = ()  # of the entries in the file so far
        self.stream: StreamId | None = None
        self.added = 0
        self.contents = 0
        self.proofs = 0

    @property
    def length(self) -> int:
        state = self._streams.status(self.stream).state if self.stream else None
        return state.length if state else 0

    async def take(self, frame: Frame) -> None:
        """Raises BadInput, which says at which frame."""
        try:
            await self._take(frame)
        except (BadInput, Malformed) as error:
            kept = "nothing of it was kept" if not self.length else "what is good before it is kept"
            refusal: LocalError = BadInput(f"frame {frame.number}: {error}", hint=kept)
            if not isinstance(error, OtherHistory):
                raise refusal from error
            if isinstance(frame.content, Segment) and await self._proves(frame.content):
                assert self.stream is not None
                refusal = LocalError(
                    f"the owners of {format_stream(self.stream)} forked it: the file has another"
                    f" history than this node from frame {frame.number} on, and both are signed",
                    hint="the proof is kept and told to others: qbix-node fork list",
                )
            self._refused = refusal

    def end(self) -> StreamImport:
        """Raises LocalError if its entries could not be taken."""
        assert self.stream is not None
        name = format_stream(self.stream)
        if self._resolve is not None and not self._resolved:
            raise BadInput(f"the Resolve of {name} comes without a proof of the fork it is about")
        if self._refused is not None and self._resolved:
            raise Temporary(
                f"the owners of {name} chose a branch of a fork: that is kept, but not the entries"
                " of the file, which came first",
                hint="import it again for its entries, or wait for peers",
            )
        if self._refused is not None:
            raise self._refused
        told = self.added, self.length, self.contents, self.proofs
        return StreamImport(name, *told, self._resolved)

    async def _take(self, frame: Frame) -> None:
        match frame.content:
            case Segment() if self._refused is not None:
                pass
            case Segment() as segment if self.stream is None:
                self._genesis = begin(segment)
                await self._take_first(segment)
            case Segment() as segment:
                await self._add(segment)
            case SignedResolve() as resolve:
                check_resolve(self._genesis, resolve)
                self._resolve = resolve
            case fork:
                check_fork(fork)
                self.proofs += 1
                await self._take_fork(fork)

    async def _take_fork(self, fork: StreamFork) -> None:
        """With the Resolve, if this is the fork that it is about."""
        resolve = self._resolve
        if resolve is not None and isinstance(fork, HeadFork):
            resolution = Resolution(resolve, fork)
            if resolution.fits:
                await self._gossip.submit(resolution)
                self._resolved = True
                return
        await self._gossip.submit(fork)

    async def _take_first(self, segment: Segment) -> None:
        """The stream is followed from now on, unless this is not its beginning after all."""
        self.stream = segment.stream
        before = self._streams.status(segment.stream)
        if not before.following:  # else whole or not, as it is
            await self._streams.follow(segment.stream)
        try:
            await self._add(segment)
        except BadInput:
            if not self.length and not before.following:
                await self._streams.unfollow(segment.stream)
            raise

    async def _proves(self, segment: Segment) -> bool:
        """Keep what the Head over it and our own prove together, if they do."""
        shown, stream = ShownHead(segment.signed_head), segment.stream
        prefix = Prefix(segment.stop, self._peaks, segment.frontier)
        if not prefix.leads_to(shown.head.root, shown.head.length):
            return False
        state, chosen = self._streams.logs[stream], self._gossip.resolution(stream)
        fork = VerdictOn(self._genesis, state, shown, prefix, chosen).answer(self._rows).fork
        if fork is None or self._genesis.uniqueness is not Uniqueness.GOSSIP:
            return False
        try:
            check_fork(fork)
        except Malformed:
            return False
        await self._gossip.submit(fork)
        return True

    async def _add(self, segment: Segment) -> None:
        before = self.length
        self._peaks, _ = grow(self._peaks, segment.first, leaf_hashes(segment.leaves))
        try:
            self.contents += await self._streams.take(segment)
        except Temporary as error:
            if not self._streams.status(segment.stream).stopped:
                raise
            self._refused = error  # it is forked; perhaps a Resolve follows
        self.added += max(0, self.length - max(before, 1))  # the genesis is no entry
