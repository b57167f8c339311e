"""How a stream is, as the HTTP interface tells it: who owns it, who writes, who has signed."""

from dataclasses import replace

from qbix_node.daemon.node import Node
from qbix_node.gossip.service import Gossip
from qbix_node.http.stream_api import BranchRow, ProposalRow, StreamDetails, StreamRow
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.sequencing.proposals import Proposal
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.resolution import CLOSED, FORKED
from qbix_node.streams.shelf import Gaps
from qbix_node.wire.references import StreamId, encode_base64, format_feed, format_stream


def row_of(status: StreamStatus) -> StreamRow:
    genesis, state = status.genesis, status.state
    owners = state.owners if state else genesis.owners if genesis else None
    weights = owners.weights if owners else ()
    keys = [key for key, _ in weights]
    readers = genesis.readers if genesis else None
    others = None if readers is None else sorted(readers - set(keys))
    head = state.signed.head if state else None
    chosen = status.resolution
    return StreamRow(
        stream=format_stream(status.stream),
        kind=genesis.kind if genesis else None,
        uniqueness=genesis.uniqueness.value if genesis else None,
        owners=[format_feed(key) for key in keys],
        readers=None if others is None else [format_feed(key) for key in others],
        own=status.own,
        following=status.following,
        headers_only=status.headers_only,
        length=state.length if state else 0,
        head_length=head.length if head else 0,
        root=encode_base64(head.root) if head else None,
        timestamp=head.timestamp_ms if head else None,
        claimed=status.claimed,
        stopped=status.stopped,
        forked=status.stopped in (FORKED, CLOSED),
        closed=status.stopped == CLOSED,
        resolved_length=chosen.fork_length if chosen else None,
        resolved_root=encode_base64(chosen.chosen_root) if chosen else None,
        doubt=None if status.waits is None else str(status.waits),
        weights=[weight for _, weight in weights],
        threshold=owners.threshold if owners else None,
        sequencer=_sequencer(genesis),
        writers=_writers(genesis),
    )


def _sequencer(genesis: Genesis | None) -> str | None:
    if genesis is None or genesis.sequencer is None or not genesis.sequenced:
        return None
    return format_feed(genesis.sequencer)


def _writers(genesis: Genesis | None) -> list[str] | None:
    if genesis is None or genesis.writers is None:
        return None
    return [format_feed(key) for key in sorted(genesis.writers)]


def with_kept_head(gossip: Gossip, row: StreamRow, stream: StreamId) -> StreamRow:
    """Where nothing but Heads is kept of it: what is known by that."""
    kept = gossip.heads_only
    if stream not in kept or row.following or row.own:
        return row
    reason, chosen = gossip.stopped(stream), gossip.resolution(stream)
    row = replace(
        row,
        heads_only=True,
        stopped=reason,
        forked=reason in (FORKED, CLOSED),
        closed=reason == CLOSED,
        resolved_length=chosen.fork_length if chosen else None,
        resolved_root=encode_base64(chosen.chosen_root) if chosen else None,
    )
    if state := kept.logs.get(stream):
        head = state.signed.head
        row = replace(row, head_length=head.length, root=encode_base64(head.root))
        row = replace(row, timestamp=head.timestamp_ms)
    return row


def details_of(
    node: Node, status: StreamStatus, gaps: Gaps, branches: list[BranchRow]
) -> StreamDetails:
    """`status`: of a stream that is here or followed; it may not have begun yet."""
    proposal = node.sequencing.proposal(status.stream)
    if proposal is not None:
        status = replace(status, genesis=proposal.genesis)
    signed = node.sequencing.signed_length(status.stream)
    return StreamDetails(
        row=with_kept_head(node.gossip, row_of(status), status.stream),
        contents_missing=gaps.missing,
        contents_dropped=gaps.dropped,
        branches=branches,
        signs=_signs(node, status),
        signed_length=signed,
        proposal=_proposal_row(proposal) if proposal else None,
    )


def _signs(node: Node, status: StreamStatus) -> bool:
    """SPEC sequencing 4: following a stream of which this node is an owner is the consent."""
    genesis = status.genesis
    return (
        genesis is not None
        and genesis.owners.only is None
        and genesis.owners.index(node.keys.public) is not None
        and status.following
        and status.stopped is None
    )


def _proposal_row(proposal: Proposal) -> ProposalRow:
    names = [format_feed(key) for key, _ in proposal.genesis.owners.weights]
    return ProposalRow(
        first=proposal.run.first,
        stop=proposal.run.head.length,
        signed=[names[index] for index in sorted(proposal.signatures)],
        waiting_for=[names[index] for index in proposal.unsigned],
        refused={names[index]: reason for index, reason in sorted(proposal.refused.items())},
    )
