"""An owner of a forked stream chooses which branch goes on (spec/streams.md 6.1).

The owners may do so once: a second choice closes the stream. So what the only one signed is
remembered here until it is durable, whatever becomes of the request. Of several, each chooses by
its own people, and the choice counts once enough have chosen the same (spec/sequencing.md 6).
"""

import trio

from qbix_node.daemon.node import Node
from qbix_node.errors import LocalError, Temporary
from qbix_node.http.stream_api import BranchRow
from qbix_node.replication.streams.status import StreamStatus
from qbix_node.sequencing.messages import Choice
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import HeadFork, encode_fork, fork_id, read_fork
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.messages import Resolve
from qbix_node.streams.records import root_at
from qbix_node.streams.resolution import CLOSED, Resolution
from qbix_node.streams.tree import Hash
from qbix_node.wire.references import StreamId, encode_base64, format_feed, format_stream

LOOK = "qbix-node stream show lists the branches"


class Resolver:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._turn = trio.Lock()
        self._signed: dict[StreamId, Resolution] = {}

    def branches(self, stream: StreamId) -> list[BranchRow]:
        """Of forks before a choice."""
        status, found = self._node.streams.status(stream), []
        for fork in self._forks(stream):
            here, proof = self._root(status, fork.compared_length), fork_id(encode_fork(fork))
            for root, shown in zip(fork.roots, (fork.shown, fork.other), strict=True):
                place = fork.compared_length, encode_base64(root), shown.head.length
                chosen = self._chosen_by(fork, root)
                row = BranchRow(encode_base64(proof), *place, here=root == here, chosen_by=chosen)
                found.append(row)
        return found

    def _chosen_by(self, fork: HeadFork, root: Hash) -> list[str]:
        weights = fork.genesis.owners.weights
        body = Resolve(fork.stream, fork.compared_length, root)
        choices = sorted(self._node.sequencing.choices(fork.stream).items())
        return [
            format_feed(weights[owner][0])
            for owner, choice in choices
            if choice.resolution.signed.resolve == body
        ]

    async def resolve(self, stream: StreamId, root: Hash | None) -> None:
        """`root`: of the branch that goes on, where its proof compares; None: the one that is here.
        Returns once that is durable and told; of several owners, that this one chose it. Raises
        LocalError.
        """
        async with self._turn:
            await self._require_trust(stream)
            if self._several(stream):
                await self._choose(stream, root)
                return
            resolution = self._signed.get(stream) or self._sign(stream, root)
            if root not in (None, resolution.chosen_root):
                raise LocalError(f"another branch of {format_stream(stream)} is being chosen")
            self._signed[stream] = resolution
            await self._node.gossip.submit(resolution)
            del self._signed[stream]
        if self._node.gossip.resolution(stream) != resolution:
            raise LocalError(f"{format_stream(stream)} was closed meanwhile", hint=LOOK)

    def _several(self, stream: StreamId) -> bool:
        genesis = self._node.streams.geneses.get(stream)
        return genesis is not None and genesis.owners.only is None

    async def _choose(self, stream: StreamId, root: Hash | None) -> None:
        """Again, it is as it was: what this node has signed can't be taken back."""
        self._require_owner(self._node.streams.status(stream))
        mine = self._node.streams.geneses[stream].owners.index(self._node.keys.public)
        assert mine is not None  # by what was required
        known = self._node.gossip.resolution(stream)
        if known is not None and root in (None, known.chosen_root):
            return  # others were enough
        before = self._node.sequencing.choices(stream).get(mine)
        if before is None:
            await self._node.sequencing.choose(Choice(self._sign(stream, root)))
            return
        chosen = before.resolution.chosen_root
        if root not in (None, chosen):
            raise LocalError(
                f"this node has chosen the branch with the root {encode_base64(chosen)} already,"
                " and an owner chooses once: with another signature it could close the stream",
                hint="only the other owners can still choose otherwise",
            )

    async def _require_trust(self, stream: StreamId) -> None:
        """SPEC streams 10: a home that was put back may have forgotten what it chose."""
        await self._node.streams.hold(stream)
        state = self._node.streams.logs.get(stream)
        if state and (doubt := self._node.streams.caution.doubts.get(stream)):
            name = format_stream(stream)
            raise Temporary(
                f"{doubt}; a branch may have been chosen, and a second choice would close {name}",
                hint="call a peer that has it: qbix-node peer add ADDRESS; or, if surely nothing"
                f" was chosen: qbix-node stream resume {name} {state.length}",
            )

    def _sign(self, stream: StreamId, root: Hash | None) -> Resolution:
        status = self._node.streams.status(stream)
        self._require_owner(status)
        if self._node.gossip.resolution(stream) is not None:
            raise LocalError(
                f"a branch of {format_stream(stream)} was chosen already: a second choice would"
                " close the stream for good",
                hint="qbix-node stream show tells which",
            )
        if status.stopped == CLOSED:
            raise LocalError(f"{format_stream(stream)}: {CLOSED}")
        others = [each.resolution for each in self._node.sequencing.choices(stream).values()]
        found = self._forks(stream)
        if not found:
            raise LocalError(f"no fork of {format_stream(stream)} is known here", hint=LOOK)
        fork, chosen = self._here(status, found) if root is None else _with(root, found)
        # SPEC sequencing 6: where others chose this branch by another proof, that one is taken.
        for other in others:
            if self._root(status, other.fork_length) == other.chosen_root and root is None:
                fork, chosen = other.fork, other.chosen_root
        mine = fork.genesis.owners.index(self._node.keys.public) or 0
        body = Resolve(stream, fork.compared_length, chosen)
        return Resolution(sign_resolve(body, (mine, self._node.keys)), fork)

    def _forks(self, stream: StreamId) -> list[HeadFork]:
        """Also those that other owners chose by, of which no proof is kept here."""
        proofs = dict.fromkeys(self._node.gossip.proofs(stream))
        for choice in self._node.sequencing.choices(stream).values():
            proofs[encode_fork(choice.resolution.fork)] = None
        forks = [read_fork(each) for each in proofs]
        return [each for each in forks if isinstance(each, HeadFork) and each.resolved is None]

    def _require_owner(self, status: StreamStatus) -> None:
        genesis, name = status.genesis, format_stream(status.stream)
        if genesis is None:
            raise LocalError(f"nothing of {name} is here")
        if genesis.uniqueness is not Uniqueness.GOSSIP:
            raise LocalError(f"{name} goes on whatever its owners sign: there is nothing to choose")
        if genesis.owners.index(self._node.keys.public) is None:
            raise LocalError(f"this node is no owner of {name}")

    def _here(self, status: StreamStatus, forks: list[HeadFork]) -> tuple[HeadFork, Hash]:
        """The latest one of which the log here is a branch. Raises LocalError."""
        missing = 0
        for fork in sorted(forks, key=lambda each: each.compared_length, reverse=True):
            root = self._root(status, fork.compared_length)
            if root not in fork.roots:
                continue
            assert root is not None
            head = (fork.shown, fork.other)[fork.roots.index(root)].head
            if self._root(status, head.length) == head.root:
                return fork, root
            missing = max(missing, head.length)
        name, hint = format_stream(status.stream), f"--root chooses by hand; {LOOK}"
        if missing:
            raise LocalError(
                f"this node has signed entries up to {missing - 1} on the branch of {name} that is"
                " here, and they are not here: to append in their place would fork it again",
                hint=f"bring them back from a peer or an export; {hint}",
            )
        raise LocalError(f"what is here of {name} is no branch of a fork that is known", hint=hint)

    def _root(self, status: StreamStatus, length: int) -> Hash | None:
        if status.state is None or status.state.length < length:
            return None
        return root_at(self._node.store, status.stream, length)


def _with(root: Hash, forks: list[HeadFork]) -> tuple[HeadFork, Hash]:
    """Raises LocalError."""
    found = [fork for fork in forks if root in fork.roots]
    if not found:
        known = ", ".join([encode_base64(each) for fork in forks for each in fork.roots])
        raise LocalError(
            f"no branch of a fork that is known has that root; they have {known}", hint=LOOK
        )
    return max(found, key=lambda fork: fork.compared_length), root
