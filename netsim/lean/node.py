"""One life of an honest node: its machines, and what carries out their decisions. The state comes
from the disk alone, as in `qbix_node.daemon.node`.
"""

from collections.abc import Callable

from netsim.asking import blob_content, blob_of, content_of, limits_of
from netsim.lean.connecting import Connecting
from netsim.lean.gossiping import Gossiping
from netsim.lean.lan import Shouting
from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.replicating import Replicating
from netsim.lean.resolving import resolve
from netsim.lean.sequencing import Sequencing
from netsim.lean.sharing import Sharing
from netsim.lean.writer import Writer
from netsim.messages import OF_SEQUENCING, OF_STREAMS
from netsim.plan import Do, Operation
from netsim.site import Site
from netsim.streams import is_shared
from netsim.world import Load, World
from qbix_node.feeds.messages import Publish, Readers
from qbix_node.net import messages as k
from qbix_node.replication import messages as r

CLOCKS_S = 2.0  # for what peers said to be stored at a clean stop


class Node:
    def __init__(
        self, world: World, site: Site, fail: Callable[[Exception], None], *, clean: bool
    ) -> None:
        connections, blobs = limits_of(world.plan)
        self.process = Process(world, site, fail)
        self.writer = Writer(self.process)
        self.replicating = Replicating(self.process, self.writer, connections, clocks_valid=clean)
        self.gossiping = Gossiping(self.process, self.writer, clean=clean)
        self.sequencing = Sequencing(self.process, self.writer, self.gossiping.streaming)
        self.sharing = Sharing(self.process, self.writer, blobs)
        self.connecting = Connecting(self.process, self.writer, connections, self)
        self._requests = 0

    def start(self) -> None:
        self.process.enter(self._start)

    def _start(self) -> None:
        self.gossiping.start()
        self.sequencing.start()
        self.connecting.start()
        if self.process.world.plan.lan:
            Shouting(self.process, self.connecting).start()

    # ---- links ----

    def begin(self, link: Link) -> None:
        link.hear = self.replicating.begin(link, self._hear_else)
        self.gossiping.begin(link)
        self.sequencing.begin(link)
        self.sharing.begin(link)

    def _hear_else(self, link: Link, message: object) -> None:
        kind = type(message)
        if kind in OF_SEQUENCING:
            self.sequencing.hear(link, message)
        elif kind in OF_STREAMS:
            self.gossiping.hear(link, message)
        else:
            self.sharing.hear(link, message)

    def end(self, link: Link) -> None:
        self.replicating.end(link)
        self.gossiping.end(link)
        self.sequencing.end(link)
        self.sharing.end(link)

    # ---- what its person asks ----

    def ask(self, operation: Operation) -> None:
        self.process.enter(self._ask, operation)

    def _ask(self, operation: Operation) -> None:  # noqa: C901  (a table)
        sites = self.process.world.sites
        target = None if operation.target is None else sites[operation.target]
        match operation.do:
            case Do.PUBLISH:
                self._publish(operation)
            case Do.FOLLOW if target:
                self.replicating.ask(r.Follow(target.feed))
            case Do.UNFOLLOW if target:
                self.replicating.ask(r.Unfollow(target.feed))
            case Do.BLOCK if target:
                peer = target.peer
                self.connecting.wish(lambda number: k.BlockPeer(number, peer))
                self.replicating.ask(r.Block(target.feed))
            case Do.UNBLOCK if target:
                peer = target.peer
                self.connecting.wish(lambda number: k.UnblockPeer(number, peer))
                self.replicating.ask(r.Unblock(target.feed))
            case Do.ADD_PEER if target:
                address = target.address
                self.connecting.wish(lambda number: k.AddPeer(number, address))
            case Do.REMOVE_PEER if target:
                peer = target.peer
                self.connecting.wish(lambda number: k.RemovePeer(number, peer))
            case Do.ADD_BLOB:
                self.sharing.add(blob_content(operation))
            case Do.WANT_BLOB:
                self.sharing.want(blob_of(operation))
            case Do.UNWANT_BLOB:
                self.sharing.unwant(blob_of(operation))
            case Do.REMOVE_BLOB:
                self.sharing.remove(blob_of(operation))
            case _:
                self._ask_of_streams(operation)

    def _ask_of_streams(self, operation: Operation) -> None:
        streaming, stream = self.gossiping.streaming, self.process.world.streams.about(operation)
        match operation.do:
            case _ if is_shared(operation, self.process.world.streams):
                self.sequencing.hand_in(stream, operation)
            case Do.CREATE_STREAM:
                streaming.create(stream)
            case Do.APPEND_STREAM:
                streaming.append(stream, operation)
            case Do.FOLLOW_STREAM | Do.FOLLOW_HEADERS:
                streaming.follow(stream, headers_only=operation.do is Do.FOLLOW_HEADERS)
            case Do.UNFOLLOW_STREAM:
                streaming.unfollow(stream)
            case Do.DROP_CONTENTS:
                streaming.drop(stream)
            case Do.FETCH_CONTENTS:
                streaming.fetch(stream)
            case Do.RESOLVE_STREAM:
                resolve(self.process, self.gossiping, stream)
            case _:
                pass  # of roles; or without whom it is about

    def _publish(self, operation: Operation) -> None:
        readers = None
        if operation.target is not None:
            readers = Readers((self.process.world.sites[operation.target].feed,))
        self._requests += 1
        stamp_ms = int(1000 * self.process.site.clock.wall())
        wish = Publish(self._requests, content_of(operation), stamp_ms, readers)
        self.replicating.ask(wish)

    # ---- its end ----

    def stop(self, stopped: Callable[[], None]) -> None:
        """Keep what peers said, say goodbye, and wait for the batch under way."""
        self.process.enter(self.replicating.save_clocks, lambda: self._close(stopped))
        self.process.later(CLOCKS_S, self._close, stopped)

    def _close(self, stopped: Callable[[], None]) -> None:
        self.connecting.close("this node stops")
        self.process.world.fabric.kill(self.process.number)
        self.writer.close(stopped)

    def abandon(self) -> None:
        """Its process is over, however that came."""
        self.process.over = True
        self.sharing.abandon()

    def load(self) -> Load:
        return Load(
            waiting_messages=self.replicating.machine.book.waiting,
            connections=len(self.connecting.links),
            wants=self.sharing.wants,
            sympathy_bytes=self.sharing.sympathy_bytes,
        )
