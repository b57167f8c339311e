"""What blobs may cost this node, and what happens at each limit (spec/blobs.md 6)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    blob_bytes_max: int = 5 * 1024 * 1024  # larger ones are neither taken nor fetched
    hops_max: int = 3  # a want at distance h is shared while h + 1 is within; 1: no sympathy
    own_wants_max: int = 4096  # more are refused: temporary, exit code 75
    wants_max: int = 2048  # wants in all from which on those of peers are no longer shared
    peer_wants_max: int = 1024  # unanswered wants remembered of one peer; more are passed over
    fetches_max: int = 8  # at a time; more wait
    sympathy_fetches_max: int = 4  # of these, so that the operator's wants always find a place
    peer_fetches_max: int = 2  # of these, from one peer
    sympathy_bytes_max: int = 1024 * 1024 * 1024  # on disk by sympathy only; the oldest give way
    peer_gets_max: int = 4  # blobs served to one peer at a time; more wait
    peer_listens_max: int = 16  # calls of createWants over one connection; more are refused
    unsent_notes_max: int = 8192  # for one peer that does not read; then its stream ends
