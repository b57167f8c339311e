"""Forks of streams: who forked is convicted for good, who did not never is."""

from typing import ClassVar

from netsim import facts
from netsim.checks.check import Check, Facts, Report, View
from netsim.checks.resolving import CLOSED, FORKED, standings
from qbix_node.errors import QbixError
from qbix_node.gossip.messages import ForkProven, ForkResolved
from qbix_node.streams.forks import StreamFork, check_fork, encode_fork, fork_id, read_fork
from qbix_node.streams.messages import Grown
from qbix_node.streams.resolution import Resolution
from qbix_node.wire.references import StreamId

_PROOF = b"s/x"
_ALL = 1 << 30


class NoFalseProof(Check):
    name = "no proof is about an honest owner"
    guards = (
        "spec/streams.md 6: Nobody can make one about owners who never contradicted themselves."
    )
    watches: ClassVar[Facts] = (ForkProven,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, ForkProven)
        self._look(node, fact.fork.stream)

    def finish(self) -> None:
        for node in self.view.honest:
            for stream in proofs_of(self.view, node):
                self._look(node, stream)

    def _look(self, node: int, stream: StreamId) -> None:
        alone = self.view.honest_owner(stream) and stream not in self.view.blind.forked
        if alone or self.view.honest_owners(stream):
            self.violated(node, f"it holds a proof about {self.view.name_stream(stream)}")


class ProofsStand(Check):
    """On the disk when it is told, there at every start and at the end, and checked by itself."""

    name = "proofs of forks are durable and stand alone"
    guards = (
        "spec/gossip.md 6: One of a stream that is here, be it with entries or by its Head only, is"
        " made durable;"
        " spec/streams.md 6: To check one needs nothing but the proof."
    )
    watches: ClassVar[Facts] = (ForkProven, facts.RolledBack, facts.Started)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._found: dict[int, dict[bytes, StreamFork]] = {}  # by the keys of the store
        self._put_back: set[int] = set()

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case ForkProven(fork):
                key = _PROOF + fork.stream + fork_id(encode_fork(fork))
                self._found.setdefault(node, {})[key] = fork
                self._look(node, key)
            case facts.RolledBack():
                self._put_back.add(node)
            case facts.Started():
                if node in self._put_back:
                    self._put_back.discard(node)
                    self._found.pop(node, None)
                self._look_at_all(node)
            case _:
                pass

    def finish(self) -> None:
        for node in self._found:
            if node not in self._put_back:
                self._look_at_all(node)

    def _look_at_all(self, node: int) -> None:
        for key in self._found.get(node, ()):
            self._look(node, key)

    def _look(self, node: int, key: bytes) -> None:
        record = self.view.honest[node].disk.get(key)
        fork = self._found[node][key]
        if fault := _fault(record, fork):
            self.violated(node, f"the proof about {self.view.name_stream(fork.stream)}: {fault}")


def _fault(record: bytes | None, told: StreamFork) -> str:
    if record is None:
        return "it is not on the disk"
    try:
        fork = read_fork(record)
        check_fork(fork)
    except QbixError as error:
        return str(error)
    owners = {key for key, _ in fork.genesis.owners.weights}
    if fork.stream != told.stream or not owners & {*fork.convicted()}:
        return "it convicts somebody else"
    return ""


class NothingAfterProof(Check):
    """What was being written when the proof became durable still comes, which is one segment, and
    one more that the disk may have had by then.
    """

    name = "nothing is added to a stopped stream"
    guards = "spec/gossip.md 6: the stream is stopped"
    watches: ClassVar[Facts] = (
        ForkProven,
        ForkResolved,
        Grown,
        facts.RolledBack,
        facts.Started,
    )
    UNDER_WAY = 2

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._stopped: dict[int, dict[StreamId, int]] = {}  # how much may still come

    def handle(self, node: int, fact: object) -> None:
        stopped = self._stopped.setdefault(node, {})
        match fact:
            case ForkProven(fork) | ForkResolved(Resolution(fork=fork)):
                standing = standings(self.view.honest[node].disk).get(fork.stream)
                if standing in (FORKED, CLOSED):
                    stopped.setdefault(fork.stream, self.UNDER_WAY)
                else:
                    stopped.pop(fork.stream, None)
            case facts.RolledBack():
                stopped.clear()
            case facts.Started():
                found = standings(self.view.honest[node].disk)
                over = [stream for stream, each in found.items() if each in (FORKED, CLOSED)]
                self._stopped[node] = dict.fromkeys(over, 0)
            case Grown(stream) if stream in stopped:
                stopped[stream] -= 1
                if stopped[stream] < 0:
                    what = f"{self.view.name_stream(stream)} grew to {fact.stop}"
                    self.violated(node, what)
            case _:
                pass


def proofs_of(view: View, node: int) -> list[StreamId]:
    """Streams about which it holds some, once for each."""
    rows = view.honest[node].disk.scan(_PROOF, b"s/y", limit=_ALL)
    return [StreamId(key[3:35]) for key, _ in rows]


PROOF_CHECKS = (NoFalseProof, ProofsStand, NothingAfterProof)
