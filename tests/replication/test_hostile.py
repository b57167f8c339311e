"""What a peer may try against the one machine that all peers share."""

import pytest

from qbix_node.feeds.messages import Refusal
from qbix_node.replication.messages import (
    EbtCall,
    EbtEnded,
    EbtNotes,
    HistoryRequest,
    asks,
    make_note,
)
from qbix_node.replication.sources import STALL_S
from qbix_node.wire.references import format_feed
from qbix_node.wire.v8json import JsonValue
from tests.replication.network import Network, Node, Stranger, chain, feed_of

BOB = feed_of("bob")


def caller(node: Node, name: str) -> Stranger:
    peer = Stranger(node.network, name)
    node.network.link(peer, node)
    peer.say(node, EbtCall())
    node.network.settle(0.1)
    return peer


@pytest.mark.parametrize("author", [[], {}, None, True, 1, "", "@", "\ud800"])
def test_author_that_is_no_text_from_a_peer_that_is_not_listened_to(
    network: Network, node: Node, author: JsonValue
) -> None:
    peer = caller(node, "mallory")
    own: JsonValue = {"author": format_feed(node.feed), "sequence": 1}
    peer.offer(node, [own])
    peer.offer(node, [own, {"author": author}])
    network.settle(1)
    assert [each.feed for each in node.found(Refusal)] == [node.feed, None]
    assert not node.unsettled()


def test_liars_in_any_number_do_not_keep_a_feed_from_us(network: Network, node: Node) -> None:
    liars = [caller(node, f"liar {n}") for n in range(20)]
    honest = caller(node, "honest")
    for liar in liars:
        liar.say(node, EbtNotes({BOB: make_note(1000, receive=False)}))
    honest.say(node, EbtNotes({BOB: make_note(5, receive=False)}))
    network.settle(len(liars) * (STALL_S + 1))
    wanted = [said.notes[BOB] for said in honest.heard if isinstance(said, EbtNotes)]
    assert any(map(asks, wanted))
    honest.offer(node, chain("bob", 5))
    network.settle(1)
    assert node.head("bob") == 5
    # From then on it comes before all that never brought anything.
    honest.say(node, EbtNotes({BOB: make_note(7, receive=False)}))
    network.settle(STALL_S + 1)
    assert asks(honest.notes()[BOB])


def test_words_about_a_feed_count_for_nothing_before_it_is_asked_for(
    network: Network, node: Node
) -> None:
    """Else a peer that is read by history could name feeds without end, each kept for good."""
    old = caller(node, "mallory")
    old.say(node, EbtEnded("no such method"))
    network.settle(0.1)
    alice = feed_of("alice")
    old.offer(node, [{"author": format_feed(alice)}])
    network.settle(0.1)
    node.follow("alice")
    network.settle(1)
    assert alice in [asked.feed for asked in old.heard if isinstance(asked, HistoryRequest)]
