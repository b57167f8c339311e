"""The only owner of a forked stream has the branch that is here go on, as
`qbix_node.daemon.resolving` does it.
"""

from netsim.lean.gossiping import Gossiping
from netsim.lean.process import Process
from netsim.streams import PlannedStream
from qbix_node.ports import Rows
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import HeadFork, read_fork
from qbix_node.streams.messages import Resolve
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import LogState, root_at
from qbix_node.streams.resolution import CLOSED, Resolution
from qbix_node.streams.tree import Hash


def resolve(process: Process, gossiping: Gossiping, planned: PlannedStream) -> None:
    """At once, or when nobody could know of another choice any more; else it is refused."""
    gossiping.streaming.when_safe(planned, lambda: _resolve(process, gossiping, planned))


def _resolve(process: Process, gossiping: Gossiping, planned: PlannedStream) -> None:
    stream, book, keys = planned.id, gossiping.streaming.machine.book, process.site.keys
    state = book.logs.get(stream)
    if state is None or stream in book.caution.doubts:
        return
    if state.owners.only != AuthorId(keys.public) or book.stopped.get(stream) == CLOSED:
        return
    if gossiping.machine.resolution(stream) is not None:
        return  # a second choice would close it
    found = [read_fork(each) for each in gossiping.machine.proofs(stream)]
    forks = [each for each in found if isinstance(each, HeadFork) and each.resolved is None]
    for fork in sorted(forks, key=lambda each: each.compared_length, reverse=True):
        root = _chosen(process.site.disk, state, fork)
        if root is not None:
            body = Resolve(stream, fork.compared_length, root)
            gossiping.submit(Resolution(sign_resolve(body, (0, keys)), fork))
            return


def _chosen(rows: Rows, state: LogState, fork: HeadFork) -> Hash | None:
    """The root of the branch that is here, if all that was signed of it is."""
    root = _root(rows, state, fork.compared_length)
    if root is None or root not in fork.roots:
        return None
    head = (fork.shown, fork.other)[fork.roots.index(root)].head
    return root if _root(rows, state, head.length) == head.root else None


def _root(rows: Rows, state: LogState, length: int) -> Hash | None:
    if state.length < length:
        return None
    return root_at(rows, state.signed.head.stream, length)
