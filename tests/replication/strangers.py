"""What peers say in tests, in short."""

from qbix_node.replication.messages import (
    EbtCall,
    EbtNotes,
    make_note,
)
from qbix_node.wire.references import FeedId
from tests.replication.network import Node, Stranger, feed_of

ALICE, BOB = feed_of("alice"), feed_of("bob")
WANT, HAVE = True, False


def note(sequence: int, receive: bool) -> int:
    return make_note(sequence, receive=receive)


def call(node: Node, name: str, notes: dict[FeedId, int] | None = None) -> Stranger:
    """A peer that has dialled, called and said so much."""
    peer = Stranger(node.network, name)
    node.network.link(peer, node)
    peer.say(node, EbtCall())
    node.network.settle(0.1)
    if notes is not None:
        peer.say(node, EbtNotes(notes))
        node.network.settle(0.1)
    return peer


def said(peer: Stranger) -> list[dict[FeedId, int]]:
    return [dict(message.notes) for message in peer.heard if isinstance(message, EbtNotes)]
