"""Whether what a node says is about streams: one observer is told what all of its parts say."""

from collections.abc import Container

from qbix_node.gossip import messages as g
from qbix_node.replication.messages import EbtNotes, Range, Stop
from qbix_node.replication.streams.contents.messages import ContentChoice, WantContents
from qbix_node.replication.streams.messages import FormatCall
from qbix_node.sequencing import messages as q


def of_streams(message: object, streams: Container[bytes]) -> bool:
    """Notes about nothing are those of who replicates no stream: there is always a feed."""
    match message:
        case EbtNotes(notes):
            return next(iter(notes), None) in streams if notes else True
        case Range(log) | Stop(log):
            return log in streams
        case FormatCall() | WantContents() | ContentChoice():
            return True
        case _:
            return isinstance(message, g.Message | q.Message)
