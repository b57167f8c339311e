"""A stream of which this node is the only owner is given to another (spec/streams.md 7)."""

from collections.abc import Sequence

from qbix_node.daemon.node import Node
from qbix_node.errors import BadInput, LocalError
from qbix_node.http.stream_api import NewOwner
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.owners import WEIGHT_MAX, AuthorId, Owners
from qbix_node.streams.records import read_change
from qbix_node.streams.succession import CHAIN_MAX
from qbix_node.wire.references import format_stream


async def hand_over(
    node: Node, status: StreamStatus, owners: Sequence[NewOwner], threshold: int | None
) -> None:
    """Returns once it is durable. The node goes on to follow the stream. Raises LocalError."""
    after = _owners(owners, threshold)
    _require_only_owner(node, status, after)
    await node.streams.follow(status.stream)
    await node.streams.set_owners(status.stream, after)


def _owners(named: Sequence[NewOwner], threshold: int | None) -> Owners:
    if len(named) != 1:
        raise BadInput(
            f"{len(named)} new owners: a stream is given to one",
            hint="for several, begin a new stream: qbix-node stream create --owner KEY ...",
        )
    key, weight = AuthorId(named[0].key), named[0].weight
    if not 1 <= weight <= WEIGHT_MAX:
        raise BadInput(f"the weight of an owner is a whole number from 1 to {WEIGHT_MAX}")
    if threshold is not None and not 1 <= threshold <= weight:
        raise BadInput(f"a threshold of {threshold} is not between 1 and all weight ({weight})")
    return Owners(((key, weight),), weight if threshold is None else threshold)


def _require_only_owner(node: Node, status: StreamStatus, after: Owners) -> None:
    name, genesis, state = format_stream(status.stream), status.genesis, status.state
    if genesis is None or state is None:
        raise LocalError(f"nothing of {name} is here")
    if genesis.uniqueness is not Uniqueness.NONE:
        raise LocalError(
            f"the owners of {name} never change: its uniqueness is {genesis.uniqueness.value}",
            hint="begin a new stream, and say in an entry of the old one where it goes on",
        )
    if not status.own:
        raise LocalError(f"this node is not the only owner of {name}")
    if genesis.sequenced_under(state.owners):
        raise LocalError(f"others write into {name} by way of this node: it can't be given away")
    if state.owners.weights == after.weights:
        raise LocalError(f"{name} has that owner already")
    if _changes(node, status) >= CHAIN_MAX:
        raise LocalError(
            f"the owners of {name} have changed {CHAIN_MAX} times: nobody could be shown who signs"
        )


def _changes(node: Node, status: StreamStatus) -> int:
    count, place = 0, read_change(node.store, status.stream, 1)
    while place is not None:
        count, place = count + 1, read_change(node.store, status.stream, place + 1)
    return count
