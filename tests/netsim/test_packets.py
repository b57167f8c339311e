"""How long the lean driver takes messages to be."""

from typing import get_args

import pytest

from netsim.lean.packets import PACKET_BYTES, measure
from netsim.messages import OF_SEQUENCING
from netsim.trace import MESSAGE_NAMES
from qbix_node.sequencing import messages as q
from qbix_node.streams.messages import Head
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId

_STREAM = StreamId(bytes(32))


def test_whatever_owners_say_crosses_in_the_lean_driver() -> None:
    assert set(get_args(q.Message)) <= OF_SEQUENCING


@pytest.mark.parametrize("leaves", [(), (b"a" * 100, b"b" * 50)])
def test_votes_are_as_long_as_their_leaves(leaves: tuple[bytes, ...]) -> None:
    head = Head(_STREAM, 2, Hash(bytes(32)), 0)
    bare, what = measure(q.Votes(_STREAM, (q.Vote(0, (), head, 0, bytes(64)),)))
    size, _ = measure(q.Votes(_STREAM, (q.Vote(0, leaves, head, 0, bytes(64)),)))
    assert size - bare == sum(map(len, leaves))
    assert bare > PACKET_BYTES
    assert MESSAGE_NAMES[what] == "Votes"


def test_a_recall_has_a_name() -> None:
    assert MESSAGE_NAMES[measure(q.Recall(_STREAM))[1]] == "Recall"
