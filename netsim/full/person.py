"""What a person does with a node: carries out the operations of the plan."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from netsim import facts
from netsim.asking import blob_content, blob_of, content_of
from netsim.plan import Do, Operation
from netsim.site import Site
from netsim.streams import PlannedStream, entries_of, is_shared
from netsim.world import World
from qbix_node.daemon.node import Node
from qbix_node.daemon.resolving import Resolver
from qbix_node.daemon.stream_founding import handed_in
from qbix_node.errors import LocalError
from qbix_node.feeds.messages import Readers
from qbix_node.streams.shelf import AskFor, Drop
from qbix_node.wire.references import BlobId

Tell = Callable[[object], None]


async def carry_out(operation: Operation, node: Node, world: World, tell: Tell) -> None:
    """A refusal is read by the person and has no consequence."""
    try:
        if is_shared(operation, world.streams):
            await _share(operation, node, world.streams.about(operation), tell)
        elif operation.do in _BLOBS:
            await _on_blobs(operation, node)
        elif operation.do in _STREAMS:
            await _on_streams(operation, node, world.streams.about(operation))
        elif operation.do is Do.PUBLISH:
            target = None if operation.target is None else world.sites[operation.target]
            readers = Readers((target.feed,)) if target else None
            await node.replication.publish(content_of(operation), readers)
        elif operation.target is not None:
            await _on_others(operation.do, node, world.sites[operation.target])
    except LocalError:
        pass


_BLOBS = (Do.ADD_BLOB, Do.WANT_BLOB, Do.UNWANT_BLOB, Do.REMOVE_BLOB)
_STREAMS = (
    Do.CREATE_STREAM,
    Do.APPEND_STREAM,
    Do.FOLLOW_STREAM,
    Do.UNFOLLOW_STREAM,
    Do.RESOLVE_STREAM,
    Do.FOLLOW_HEADERS,
    Do.DROP_CONTENTS,
    Do.FETCH_CONTENTS,
)


async def _share(operation: Operation, node: Node, stream: PlannedStream, tell: Tell) -> None:
    places = None
    try:
        places = await _hand_in(operation, node, stream)
    finally:
        tell(facts.HandedIn(operation, places))


async def _on_others(do: Do, node: Node, other: Site) -> None:
    match do:
        case Do.FOLLOW:
            await node.replication.follow(other.feed)
        case Do.UNFOLLOW:
            await node.replication.unfollow(other.feed)
        case Do.BLOCK:
            await node.block(other.peer)
        case Do.UNBLOCK:
            await node.unblock(other.peer)
        case Do.ADD_PEER:
            await node.network.add_peer(other.address)
        case Do.REMOVE_PEER:
            await node.network.remove_peer(other.peer)
        case _:
            raise AssertionError(f"not done to another node: {do}")


async def _on_blobs(operation: Operation, node: Node) -> None:
    blob = blob_of(operation)
    match operation.do:
        case Do.ADD_BLOB:
            async with aclosing(_pieces(blob_content(operation))) as pieces:
                await node.blobs.add(pieces)
        case Do.WANT_BLOB:
            await node.blobs.want(blob, patience_s=0)
        case Do.UNWANT_BLOB:
            await node.blobs.unwant(blob)
        case _:
            await _remove(node, blob)


async def _on_streams(operation: Operation, node: Node, stream: PlannedStream) -> None:
    match operation.do:
        case Do.CREATE_STREAM:
            await node.streams.create(stream.genesis)
        case Do.APPEND_STREAM:
            await node.streams.append(stream.id, entries_of(operation))
        case Do.FOLLOW_STREAM | Do.FOLLOW_HEADERS:
            headers_only = operation.do is Do.FOLLOW_HEADERS
            await node.streams.follow(stream.id, headers_only=headers_only)
        case Do.UNFOLLOW_STREAM:
            await node.streams.unfollow(stream.id)
        case Do.RESOLVE_STREAM:
            await Resolver(node).resolve(stream.id, None)
        case _ if stream.id in node.streams.logs:
            of = Drop if operation.do is Do.DROP_CONTENTS else AskFor
            stop = node.streams.logs[stream.id].length
            await node.streams.contents.change(of(stream.id, 0, stop))
        case _:
            pass  # nothing of it is here


async def _hand_in(operation: Operation, node: Node, stream: PlannedStream) -> tuple[int, ...]:
    """To a stream that several own or write into."""
    if operation.do is Do.CREATE_STREAM:
        await node.sequencing.begin(stream.genesis)
        return ()
    entries = entries_of(operation)
    place = await handed_in(node, stream.id, entries)
    # Others' may stand between them, and then nobody says where each is.
    together = place.stop - place.first == len(entries)
    return tuple(range(place.first, place.stop)) if together else ()


async def _remove(node: Node, blob: BlobId) -> None:
    await node.blobs.unwant(blob)  # first, so that it doesn't come again
    if node.blobs.has(blob):
        await node.blobs.remove(blob)


async def _pieces(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content
