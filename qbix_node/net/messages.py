"""What the ConnectionKeeper is told, and what it decides (spec/transport.md 6)."""

from dataclasses import dataclass

from qbix_node.machines import PeerId
from qbix_node.net.address import Address


@dataclass(frozen=True, slots=True, order=True)
class LinkId:
    """One connection, from its first byte or the wish for it to its end. `outgoing`: we dial."""

    outgoing: bool
    number: int


# ---- wishes; those with a request number are answered by Done or Refused ----


@dataclass(frozen=True, slots=True)
class Start:
    """Dialling is possible from now on."""


@dataclass(frozen=True, slots=True)
class AddPeer:
    """Keep a connection to this peer; remembered for good."""

    request: int
    address: Address


@dataclass(frozen=True, slots=True)
class AddKey:
    """The same, of a peer whose address others will tell (Heard)."""

    request: int
    peer: PeerId


@dataclass(frozen=True, slots=True)
class RemovePeer:
    request: int
    peer: PeerId


@dataclass(frozen=True, slots=True)
class BlockPeer:
    """Neither dial this peer nor let it in; remembered for good."""

    request: int
    peer: PeerId


@dataclass(frozen=True, slots=True)
class UnblockPeer:
    request: int
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Heard:
    """Somebody on the local network, or a record of the peer's in the DHT, says that this peer is
    there. Nobody vouches for it. `once`: it is dialled once only, as whoever said so may have named
    a victim.
    """

    address: Address
    once: bool = False


# ---- what happens to connections ----


@dataclass(frozen=True, slots=True)
class Arrived:
    """Somebody connected to us; answered by Proceed or Hangup."""

    link: LinkId
    host: str


@dataclass(frozen=True, slots=True)
class Reached:
    """What we dial is there; the handshake begins. Answered by Proceed or Hangup."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class Proven:
    """The other side proved who it is. Answered by Proceed or Hangup; an incoming connection is
    not accepted before.
    """

    link: LinkId
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Gone:
    """The connection is closed, or never came to be."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class LinkUp:
    """For those who watch the node; the keeper knows it already."""

    peer: PeerId
    outgoing: bool


@dataclass(frozen=True, slots=True)
class LinkDown:
    peer: PeerId
    reason: str


# ---- findings ----


@dataclass(frozen=True, slots=True)
class Dial:
    link: LinkId
    address: Address


@dataclass(frozen=True, slots=True)
class Proceed:
    link: LinkId


@dataclass(frozen=True, slots=True)
class Hangup:
    link: LinkId
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """The wish is fulfilled, durably."""

    request: int


@dataclass(frozen=True, slots=True)
class Refused:
    request: int
    reason: str
