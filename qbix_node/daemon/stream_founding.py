"""Streams that others own or write into with this node: how they begin, how entries get there."""

from collections import Counter

import trio

from qbix_node.crypto.entropy import random_bytes
from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.node import Node
from qbix_node.errors import BadInput, LocalError, Temporary
from qbix_node.http.stream_api import NewOwner, NewStream, StreamPlace
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.sequencing.proposals import Proposal
from qbix_node.streams.authoring import make_genesis
from qbix_node.streams.genesis import WRITERS_MAX, Genesis, Uniqueness
from qbix_node.streams.messages import NewEntry
from qbix_node.streams.owners import OWNERS_MAX, WEIGHT_MAX, AuthorId, Owners
from qbix_node.wire.references import FeedId, StreamId, format_feed, format_stream

SALT_BYTES = 16
SIGNED_S = 30.0  # within which enough owners sign, if their nodes are connected


def founded(keys: KeyPair, wish: NewStream) -> Genesis:
    """What a person wants to begin. Raises LocalError."""
    if wish.uniqueness not in list(Uniqueness):
        raise BadInput(f"{wish.uniqueness[:40]!r} is no uniqueness: none or gossip")
    if wish.uniqueness == Uniqueness.WATCHED:
        raise LocalError(
            "this version has no watchers, so it makes no watched streams",
            hint="gossip: every fork of the stream can be proven, but nothing prevents it",
        )
    if len(set(wish.writers)) > WRITERS_MAX:
        raise BadInput(f"{len(wish.writers)} writers: at most {WRITERS_MAX} are named")
    if wish.writers and wish.anybody_writes:
        raise BadInput("either some are named as writers, or anybody writes")
    return make_genesis(
        keys,
        wish.kind,
        Uniqueness(wish.uniqueness),
        salt=random_bytes(SALT_BYTES),
        owners=_owners(FeedId(keys.public), wish),
        readers=wish.readers,
        writers=wish.writers if wish.writers or wish.anybody_writes else None,
    )


def _owners(here: FeedId, wish: NewStream) -> Owners:
    named = [*wish.owners]
    if here not in [owner.key for owner in named]:
        named.append(NewOwner(here, 1))
    if twice := [key for key, times in Counter([each.key for each in named]).items() if times > 1]:
        raise BadInput(f"{format_feed(twice[0])} is named twice as an owner")
    if len(named) > OWNERS_MAX:
        raise BadInput(f"{len(named)} owners: a stream has at most {OWNERS_MAX}")
    if any(not 1 <= owner.weight <= WEIGHT_MAX for owner in named):
        raise BadInput(f"the weight of an owner is a whole number from 1 to {WEIGHT_MAX}")
    total = sum([owner.weight for owner in named])
    most = total // 2 + 1
    threshold = most if wish.threshold is None else wish.threshold
    if threshold > total:
        raise BadInput(f"a threshold of {threshold} is never reached: all weights are {total}")
    if wish.uniqueness != Uniqueness.NONE and threshold < most:
        raise BadInput(
            f"a threshold of {threshold} is not above half of all weight ({total}), so that two"
            " halves of the owners could each go on without the other",
            hint=f"--threshold {most} or more; or --uniqueness none",
        )
    return Owners(tuple(sorted([(AuthorId(each.key), each.weight) for each in named])), threshold)


def sequenced(node: Node, status: StreamStatus) -> bool:
    """Whether what is appended goes through a sequencer, be it this node."""
    genesis, state = status.genesis, status.state
    if genesis is None:
        return node.sequencing.proposal(status.stream) is not None
    return genesis.sequenced_under(state.owners if state else genesis.owners)


def require_writable(node: Node, status: StreamStatus) -> None:
    """As far as it can be known before something is handed in. Raises LocalError."""
    _require_begun(node, status.stream)
    if status.genesis is None or not status.genesis.may_write(node.keys.public):
        raise LocalError("this node is neither an owner nor among the writers of that stream")


def _require_begun(node: Node, stream: StreamId) -> None:
    proposal = node.sequencing.proposal(stream)
    if proposal is not None and proposal.run.first == 0:
        raise Temporary(
            f"{format_stream(stream)} has not begun yet; it waits for {_missing(proposal)}",
            hint=f"each of them agrees by: qbix-node follow {format_stream(stream)}",
        )


async def handed_in(node: Node, stream: StreamId, entries: tuple[NewEntry, ...]) -> StreamPlace:
    """Returns once they are in the log here. Raises LocalError."""
    _require_begun(node, stream)
    await node.streams.hold(stream)
    with trio.move_on_after(SIGNED_S):
        places = await node.sequencing.append(stream, entries)
        return StreamPlace(format_stream(stream), places[0], places[-1] + 1, len(places))
    proposal = node.sequencing.proposal(stream)
    waiting = "the sequencer has not put them into the stream"
    if silent := node.sequencing.unheard(stream):
        names = ", ".join([format_feed(key) for key in silent])
        waiting = (
            "too few owners have said what they signed before this node started; these have not:"
            f" {names}"
        )
    if proposal is not None:
        waiting = f"too few owners have signed; these have not: {_missing(proposal)}"
    raise Temporary(
        f"after {SIGNED_S:.0f} s {waiting}; the entries may still get there",
        hint="look at `qbix-node stream show` and `stream log` before you append them again",
    )


def _missing(proposal: Proposal) -> str:
    weights = proposal.genesis.owners.weights
    return ", ".join([format_feed(weights[index][0]) for index in proposal.unsigned])
