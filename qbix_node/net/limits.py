"""Every limit of the network, with its unit and what happens when it is reached."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a stranger can make the node spend. Before a handshake ends, a connection costs no more
    than the 112 bytes of the longest handshake message: that follows from the protocol.
    """

    # Connections in all, being made or up. A further one is closed without an answer; the node
    # does not dial.
    connections_max: int = 128
    # So many of them are kept for peers that a person added; strangers find them taken.
    connections_reserved: int = 32
    # From one host (an IPv4 address, an IPv6 /64). A further one is closed without an answer.
    connections_per_host_max: int = 16
    # Incoming, in their handshake. The oldest gives way, so that a flood that sends nothing does
    # not keep out a peer that is quick.
    handshakes_max: int = 64
    # From connection to the last byte of the handshake; then it is closed. Two round trips by
    # satellite and a packet sent twice fit in it.
    handshake_patience_s: float = 5.0
    # For a TCP connection to come up; then the dial has failed.
    dial_patience_s: float = 10.0
    # Peers that a person added or blocked, each. A further one is refused.
    known_peers_max: int = 1000
    # Peers heard of on the local network. A further one is ignored until one is forgotten.
    heard_peers_max: int = 64

    # Body of one packet. A longer one closes the connection.
    packet_bytes_max: int = 1024 * 1024
    # Requests of a peer that are open, or still worked on, at a time. A further one is answered
    # with an error; a peer that goes on to twice as many without ending any is cut off, and so is
    # one that leaves as many of ours open.
    streams_per_peer_max: int = 256
    # Waiting to be sent to a peer. Whoever sends waits; nothing more is read from a peer that
    # makes the node queue twice as much by its requests.
    queued_bytes_per_peer_max: int = 1024 * 1024
    # Received, but not yet taken by whom it is for. Nothing more is read from that peer.
    unread_bytes_per_peer_max: int = 1024 * 1024
    # For the next write to be taken by the network; then the peer is cut off.
    write_patience_s: float = 30.0
    # Silence after which the peer is asked for a sign of life. JavaScript peers without a
    # configured timer hang up after 5 s.
    heartbeat_s: float = 4.0
    # Silence, though asked, after which the peer is cut off.
    silence_max_s: float = 30.0
    # For the peer's goodbye after ours; then the connection is closed without it.
    goodbye_patience_s: float = 1.0
