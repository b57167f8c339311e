"""What is worth happening in a run: a scenario lists by name what has to, or the run proves little.

The names are part of the scenario format ([expect], docs/netsim.md); netsim.checks.noticing finds
out that it happened, in both drivers.
"""

from collections.abc import Mapping

NAMES: Mapping[str, str] = {
    # Links.
    "link lost and back": "a connection was lost, and the two peers are connected again",
    "half-open link given up": "a connection ended because nothing came from the other side",
    "dials collided": "a connection gave way to another one between the same two peers",
    "partition with writers on both sides": "messages were published on both sides of a partition",
    "host with too many connections": "a further connection from one host was closed",
    "held messages arrived": "a node got messages at once when packets were held no longer",
    "node heard on the local network": "a connection came up to a peer whose address nobody gave",
    # Disks and processes.
    "node crashed": "a process was killed, or its power was cut",
    "unsynced batch lost": "a power cut took a batch that nobody had been told of",
    "torn batch refused": "a batch that was half on the disk was thrown away at the next start",
    "disk full and recovered": "a node wrote again after its disk had been full",
    "roll-back noticed": "a store refused to open because something acknowledged was missing",
    "restore unnoticed": "a node started on an old copy of its whole folder",
    "own feed back from peers": "a node got messages of its own feed from somebody else",
    # Feeds.
    "fork found": "a node holds two messages of one author and sequence",
    "fork found at equal length": "the other branch came by itself, up to the node's own head",
    "fork found at unequal length": "a longer branch did not fit, and the node asked for the proof",
    "fork found across a partition": "the two branches had spread on both sides of a partition",
    "fork unseen at equal length": "at the end two connected nodes have branches of one length",
    "message handed on": "a node got a message from somebody else than its author",
    "many messages at once": "a node stored ten messages of a feed, or more, that it got together",
    "message refused": "a peer sent a message that is not valid",
    "bad signature refused": "a peer sent a message whose signature does not match",
    "messages skipped": "messages were forgotten at a limit or for a gap, to be asked again",
    "feed unfollowed": "a feed that is stored is replicated no more",
    "private message opened": "a reader could open what was sealed for it",
    # Streams.
    "stream handed on": "a node got entries of a stream from somebody else than its owner",
    "several entries at once": "a node stored more than one entry of a stream that came together",
    "content missing": "entries came without their contents",
    "stream unfollowed": "a stream is replicated no more",
    "own stream back from peers": "an owner got entries of its own stream from somebody else",
    "segment refused": "a peer sent entries that are not valid, or don't lead to their Head",
    "segment skipped": "entries were forgotten at a limit or for a gap, to be asked again",
    "Head contradicted": "a Head that the owner signed does not fit what a peer had shown",
    "gossip refused": "a peer gossiped what is not true",
    "logs compared": "a node asked a peer whether their logs continue each other",
    "pending Head": "a node passed on a Head whose entries it had not",
    "equal-length fork": "two Heads of one length prove that a stream was forked",
    "unequal-length fork": "two Heads of different lengths prove it",
    "fork across a partition": "its branches had been on two sides of one, before it was proven",
    "entries signed together": "a Head got into a log under the signatures of several owners",
    "entry of a writer placed": "an entry got into a stream of which its author is no sequencer",
    "Head not signed": "an owner refused to sign what the sequencer proposed",
    "fork of several owners": "a stream of several owners was forked, and it is proven",
    "branch chosen": "the owners of a forked stream chose which branch goes on, and a node knows",
    "log dropped": "a node gave up a log, as another branch was chosen",
    "stream closed": "two choices of one owner closed a stream for good",
    "stream without contents": "a stream is followed by its headers only",
    "contents fetched later": "a node asked a peer for contents that were missing, and got some",
    "contents refused": "a peer sent something else than the content that was asked for",
    "restored owner": "an owner lost entries of its own stream with an old copy of its store",
    # Replication.
    "stalled source replaced": "a source that claimed more and sent nothing was replaced",
    "history stream used": "a peer that does not speak EBT was asked for its feeds one by one",
    "fork proof asked for": "a peer was asked for the one message that proves a fork",
    "message sent again": "a peer still asked for what it had been sent long before",
    "request skipped by stored clock": "a feed was left out of the opening notes",
    "peer blocked while connected": "a person blocked a peer that was connected",
    # Blobs.
    "blob arrived": "a blob that the operator wanted came from a peer",
    "blob arrived by sympathy": "a blob came that only peers had wanted",
    "blob made room": "a blob that was here by sympathy was given up for another",
    "wrong blob bytes refused": "a peer sent other bytes than the blob's",
    "blob fetched elsewhere": "a fetch failed, and the blob came from another peer",
    "want outlived a restart": "a blob arrived that was wanted before the node's last start",
    # Clocks.
    "skew beyond an hour": "a node's wall clock was off by more than an hour",
}
