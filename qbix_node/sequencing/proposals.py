"""A run that waits for the signatures of its owners (spec/sequencing.md 3)."""

from collections.abc import Collection
from dataclasses import dataclass, field

from qbix_node.sequencing.messages import Refused, Signature
from qbix_node.sequencing.queue import Asker, Waiting
from qbix_node.sequencing.records import Run, Signed
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.messages import Segment, SignedHead
from qbix_node.streams.owners import Owners


def exactly_enough(owners: Owners, indices: Collection[int]) -> tuple[int, ...] | None:
    """Of those who signed, as many as decide, and none of them needless (SPEC streams 5)."""
    weights = {index: owners.weights[index][1] for index in indices}
    spare = sum(weights.values()) - owners.threshold
    if spare < 0:
        return None
    # The lightest first: who is kept stays needed, as what is spare only becomes less.
    for index, weight in sorted(weights.items(), key=lambda each: (each[1], each[0])):
        if weight <= spare:
            spare -= weight
            del weights[index]
    return tuple(sorted(weights))


@dataclass(slots=True)
class Proposal:
    run: Run
    genesis: Genesis
    askers: dict[int, Asker] = field(default_factory=dict)  # by place; none after a restart
    begun: int | None = None  # the request of a new stream
    durable: bool = False
    barred: bool = False  # the log here has something else in its place
    signatures: dict[int, bytes] = field(default_factory=dict)  # by owner
    refused: dict[int, str] = field(default_factory=dict)  # by owner: why it does not sign

    @property
    def whole(self) -> Segment | None:
        """With exactly enough signatures."""
        deciding = exactly_enough(self.genesis.owners, self.signatures)
        if deciding is None:
            return None
        run = self.run
        signed = SignedHead(run.head, tuple([(each, self.signatures[each]) for each in deciding]))
        return Segment(run.head.stream, run.first, run.leaves, run.contents, signed, ())

    def ends_with(self, said: Signature | Refused | Signed) -> bool:
        head = self.run.head
        return (said.length, said.root) == (head.length, head.root)

    def replace(self, again: Waiting) -> bool:
        """Whether this very entry is in it; whoever asked last is told."""
        header = again.header
        assert header.author_sig is not None
        for place, leaf in enumerate(self.run.leaves, self.run.first):
            if header.author_sig in leaf and leaf == header._replace(place=place).encoded:
                self.askers[place] = again.asker
                return True
        return False

    @property
    def unsigned(self) -> list[int]:
        """Owners who have not signed."""
        every = range(len(self.genesis.owners.weights))
        return [index for index in every if index not in self.signatures]
