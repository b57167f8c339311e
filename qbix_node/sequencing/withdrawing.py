"""What this node proposed or signed on a branch that the owners of a stream gave up
(spec/sequencing.md 4).
"""

from dataclasses import dataclass

from qbix_node.ports import Rows
from qbix_node.sequencing.records import (
    Run,
    Signed,
    delete_run,
    delete_signed,
    read_run_of,
    read_signed_of,
)
from qbix_node.streams.records import LogState, StoredNodes, root_at
from qbix_node.streams.resolution import Resolution
from qbix_node.streams.switching import GivenUp
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash, peaks_of
from qbix_node.wire.references import StreamId


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Found: these are not in the store any more; None: it was not there, or stays."""

    stream: StreamId
    signed: Signed | None
    proposed: Signed | None  # the Head of it


def withdraw(rows: Rows, resolution: Resolution, state: LogState) -> GivenUp | None:
    """What is certain to be of the other branch. All else may be of the one that goes on, where
    this node must not sign anything against it. Raises DamagedStore.
    """
    stream, fork_length = resolution.stream, resolution.fork_length
    signed, run = read_signed_of(rows, stream), read_run_of(rows, stream)
    if signed is not None:
        root = _root_at_fork(rows, fork_length, state, signed, run)
        if root is None or root == resolution.chosen_root:
            signed = None
    head = Signed(run.head.length, run.head.root) if run else None
    # Up to fork_length Heads do not count any more, so nobody needs one that ends there.
    if head is not None and head.length > fork_length and head != signed:
        head = None
    if signed is None and head is None:
        return None
    deletes = [delete_signed(stream)] if signed else []
    deletes += [delete_run(stream)] if head else []
    return GivenUp(tuple(deletes), Withdrawn(stream, signed, head))


def _root_at_fork(
    rows: Rows, fork_length: int, state: LogState, signed: Signed, run: Run | None
) -> Hash | None:
    """Of what was signed, if it can be told: it is in the log, or continues the log here."""
    if signed.length <= fork_length:
        return None
    stream = state.signed.head.stream
    if signed.length <= state.length and root_at(rows, stream, signed.length) == signed.root:
        return root_at(rows, stream, fork_length)
    if run is None or run.first > state.length:
        return None
    peaks = peaks_of(StoredNodes(rows, stream), run.first)
    roots = {run.first: bag(peaks)}
    for length, leaf in enumerate(run.leaves, run.first):
        peaks, _ = grow(peaks, length, [leaf_hash(leaf)])
        roots[length + 1] = bag(peaks)
    if roots.get(signed.length) != signed.root:
        return None
    return roots.get(fork_length) or root_at(rows, stream, fork_length)
