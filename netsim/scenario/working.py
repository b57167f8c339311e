"""[workload], as it was read."""

from collections.abc import Mapping
from dataclasses import dataclass

from netsim.plan import Range
from netsim.scenario.amounts import Portion

# Of each node and minute.
RATES = (
    "messages",
    "blobs",
    "follow_changes",  # somebody is followed, or no longer, if they were
    "block_changes",
    "address_changes",  # an address is given to the node, or taken from it
    "deeds",  # of each byzantine node
    "streams",  # created
    "appends",  # to one of its own streams
    "stream_changes",  # one of all streams is followed, or no longer
    "content_changes",  # contents of one are dropped, fetched, or not wanted any more
)


@dataclass(frozen=True, slots=True)
class Workload:
    a_minute: Mapping[str, float]  # of RATES
    between_s: Range  # when all of this happens
    writers: tuple[int, ...]  # of messages and blobs; empty: all nodes
    message_bytes: Range
    private: float  # share of messages that are sealed for one other node
    blob_bytes: Range
    blob_wants: float  # how many others want each blob, in the mean
    unwanted: float  # share of these wants that are taken back
    removed: float  # share of blobs that their owner removes again
    late: Portion  # honest nodes that join only now
    late_s: Range
    followers: float  # share of the other honest nodes that follow each stream
    bare_followers: float  # of these follow it by its headers only
    private_streams: float  # share of streams
    shared_streams: float  # the same of those that several own or write into
    entries: Range  # that are appended together
    entry_bytes: Range
