"""How many bytes a message takes on the wire, about, and under which name the trace has it.

With the headers of muxrpc and of the box stream: 9 + 34 bytes a packet (spec/transport.md 4, 5).
"""

from collections.abc import Callable, Mapping
from typing import cast

from netsim import messages as n
from netsim.lean import wire
from netsim.trace import MESSAGE_NAMES
from qbix_node.blobs import messages as b
from qbix_node.feeds.messages import Offered
from qbix_node.gossip import messages as g
from qbix_node.replication.messages import EbtCall, EbtEnded, EbtNotes
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.messages import FormatCall
from qbix_node.sequencing import messages as q
from qbix_node.streams.messages import OfferedSegment
from qbix_node.wire.references import FeedId

PACKET_BYTES = 43
NOTE_BYTES = 62  # "@…=.ed25519":12,
HEAD_BYTES = 150  # with one signature
INTENT_BYTES = 250  # beside its content
CALL_BYTES = 80  # name and arguments of a request

_Measure = Callable[[object], int]


def _size_of_notes(message: object) -> int:
    return NOTE_BYTES * len(cast("EbtNotes[FeedId] | n.StreamNotes", message).notes)


def _size_of_bytes(message: object) -> int:
    return len(cast("n.BlobBytes", message).data)


def _size_of_messages(message: object) -> int:
    """Beside the text, which who sends them knows."""
    return PACKET_BYTES * len(cast("Offered | wire.HistoryItems", message).messages)


def _size_of_contents(message: object) -> int:
    return sum([len(each or b"") for each in cast("c.Contents", message).contents])


def _size_of_choice(message: object) -> int:
    return NOTE_BYTES * len(cast("c.ContentChoice", message).streams)


def _size_of_proposal(message: object) -> int:
    return HEAD_BYTES + sum(map(len, cast("q.Propose", message).leaves))


def _size_of_votes(message: object) -> int:
    votes = cast("q.Votes", message).votes
    return sum([HEAD_BYTES + sum(map(len, vote.leaves)) for vote in votes])


def _size_of_choosing(message: object) -> int:
    return HEAD_BYTES + len(cast("q.Choice", message).packable()[1])


_KINDS: Mapping[type, tuple[str, int | _Measure]] = {
    wire.Hello: ("handshake", 64 - PACKET_BYTES),
    wire.Proof: ("handshake", 112 - PACKET_BYTES),
    wire.Accept: ("handshake", 80 - PACKET_BYTES),
    EbtCall: ("EbtCall", CALL_BYTES),
    EbtEnded: ("EbtEnded", 4),
    EbtNotes: ("EbtNotes", _size_of_notes),
    Offered: ("Offered", _size_of_messages),
    wire.HistoryCall: ("HistoryRequest", 2 * CALL_BYTES),
    wire.HistoryItems: ("HistoryPart", _size_of_messages),
    wire.HistoryOver: ("HistoryEnded", 4),
    b.Listening: ("Listening", CALL_BYTES),
    b.Want: ("Want", NOTE_BYTES),
    b.Have: ("Have", NOTE_BYTES),
    n.BlobGet: ("BlobGet", 2 * CALL_BYTES),
    n.BlobCancel: ("BlobCancel", 4),
    n.BlobBytes: ("BlobBytes", _size_of_bytes),
    n.BlobEnd: ("BlobEnd", 4),
    FormatCall: ("FormatCall", CALL_BYTES),
    n.StreamNotes: ("StreamNotes", _size_of_notes),
    n.StreamsEnded: ("StreamsEnded", 4),
    OfferedSegment: ("Segment", HEAD_BYTES),
    c.WantContents: ("WantContents", HEAD_BYTES),
    c.Contents: ("Contents", _size_of_contents),
    c.NoContents: ("NoContents", 4),
    n.HeadsCall: ("HeadsCall", CALL_BYTES),
    n.HeadsEnded: ("HeadsEnded", 4),
    g.Heads: ("Heads", lambda message: HEAD_BYTES * len(cast("g.Heads", message).heads)),
    g.Compare: ("Compare", 3 * HEAD_BYTES),
    g.Continues: ("Continues", 3 * HEAD_BYTES),
    g.Shorter: ("Shorter", 3 * HEAD_BYTES),
    g.Unknown: ("Unknown", 12),
    g.Proofs: ("Proofs", lambda message: sum(map(len, cast("g.Proofs", message).proofs))),
    g.Resolve: ("Resolve", lambda message: HEAD_BYTES + len(cast("g.Resolve", message).proof)),
    c.ContentChoice: ("ContentChoice", _size_of_choice),
    n.SequenceCall: ("SequenceCall", CALL_BYTES),
    n.SequenceEnded: ("SequenceEnded", 4),
    q.Intent: (
        "Intent",
        lambda message: INTENT_BYTES + len(cast("q.Intent", message).content or b""),
    ),
    q.Placed: ("Placed", 16),
    q.Declined: ("Declined", 64),
    q.Propose: ("Propose", _size_of_proposal),
    q.Signature: ("Signature", HEAD_BYTES),
    q.Refused: ("NotSigned", HEAD_BYTES),
    q.Recall: ("Recall", 44),
    q.Votes: ("Votes", _size_of_votes),
    q.Choice: ("Choice", _size_of_choosing),
}
_PLACES = {kind: (MESSAGE_NAMES.index(name), size) for kind, (name, size) in _KINDS.items()}


def measure(message: object) -> tuple[int, int]:
    """Bytes, and the place in MESSAGE_NAMES."""
    what, size = _PLACES[type(message)]
    return PACKET_BYTES + (size if isinstance(size, int) else size(message)), what
