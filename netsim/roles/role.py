"""What a byzantine program is, for those who write one and for the drivers that host it.

A role is one or more *faces*: identities, each a machine of the product's contract (`handle(event,
now, rng) -> effects`) with connections of its own. What a host owes to a face is said at Face.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from netsim.site import Site
from qbix_node.crypto.keys import KeyPair
from qbix_node.machines import Machine, PeerId
from qbix_node.wire.references import FeedId


@dataclass(frozen=True, slots=True)
class Dial:
    """Whom a face dials, by number: first `after_s` after the node's start, and `again_s` after a
    dial has failed, was refused or its connection has ended; never after `until_s`.
    """

    node: int
    after_s: float = 0.0
    again_s: float = 5.0
    until_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Face:
    """One identity. The host gives `machine` these events:

    - Connected, Disconnected: a handshake with the peer is done, both sides having accepted; the
      connection is over. There is one connection between a face and a peer: a further one that
      comes up takes the place of the first (Disconnected, Connected), which is closed.
    - Received, with one of these messages:
      EbtCall: the peer calls ebt.replicate; EbtEnded: it ended the conversation, or refused ours;
      EbtNotes: as they were read from the wire (parse_notes);
      Offered: messages, each a packet of the conversation or of a history that we asked for;
      HistoryRequest: it opens createHistoryStream; HistoryEnded: a history is over, whoever asked;
      Listening: it opens blobs.createWants; Want, Have: notes of blobs on ours;
      BlobGet, BlobCancel, BlobBytes, BlobEnd (netsim.messages): blobs.get;
      and if it has to do with streams: FormatCall, StreamNotes, StreamsEnded, OfferedSegment;
      HeadsCall, HeadsEnded, and what the product's gossip says (qbix_node.gossip.messages).
    - Requested(Operation): a person asks something of the node (all faces are told).
    - TimerFired.

    and carries these effects out:

    - Send, with one of these messages, at once and in order, and as much as there is:
      EbtCall (we open the conversation), EbtNotes, Offered (each message a packet of it; dropped
      without a conversation), EbtEnded (ends it, or refuses the call), HistoryRequest,
      HistoryPart (messages on the oldest open history of that feed that the peer asked for;
      dropped if there is none), HistoryEnded (ends that one, else the oldest that we asked for),
      Listening (we open blobs.createWants), Want, Have (dropped if the peer does not listen),
      BlobGet, BlobCancel, BlobBytes, BlobEnd, and those of streams.
      Numbers that the wire can say but no honest program takes (a note of -7) reach the peer as
      its parsers leave them: passed over. To who is not connected: dropped.
    - SetTimer, as for any machine.
    - Emit of facts.Misdeed: told to the journal, as of the site's node. Emit of
      qbix_node.replication.messages.Hangup: close the connection to that peer. Others: ignored.

    Nothing else comes out: no Persist, Load or Verify.
    """

    keys: KeyPair
    machine: Machine
    dials: tuple[Dial, ...] = ()
    reads_bytes_s: float = math.inf  # from each connection; 0: it never reads after the handshake
    streams: bool = False  # it has to do with streams; else calls for them are refused

    @property
    def peer(self) -> PeerId:
        return PeerId(self.keys.public)


@dataclass(frozen=True, slots=True)
class Role:
    """The first face has the keys of the site: who dials this node's address gets it, if the role
    `listens`. A host makes a role once, and keeps it while the process is down: a crash ends
    connections and timers only, so that a role needs no disk. Timers set before are gone then, and
    dials begin anew; the machines are told of it by a Disconnected for each peer.
    """

    faces: tuple[Face, ...]
    listens: bool = True


@dataclass(frozen=True, slots=True)
class Stage:
    """What a role is made of: where it stands, and who else is there."""

    site: Site
    sites: Mapping[int, Site]

    @property
    def amount(self) -> float:
        """Of the node's plan; each role says what it means, and what 0 stands for."""
        return self.site.plan.amount

    @property
    def feeds(self) -> list[FeedId]:
        """Of all nodes."""
        return [site.feed for site in self.sites.values()]

    def dials(self, *, after_s: float = 0.0, again_s: float = 5.0) -> tuple[Dial, ...]:
        """To everybody whose address a person gave it."""
        return tuple([Dial(node, after_s, again_s) for node in self.site.plan.knows])


MakeRole = Callable[[Stage], Role]


def keys_of_face(node: int, place: int) -> KeyPair:
    """Of further faces: like those of nodes, the same in every run."""
    seed = blake2b(b"netsim node %d face %d" % (node, place), digest_size=32).digest()
    return KeyPair.from_seed(seed)
