"""How long forks stay undiscovered: from both branches being there to the evidence at each node."""

from netsim import facts
from netsim.loop import Loop
from netsim.plan import Plan
from qbix_node.feeds.messages import ForkFound
from qbix_node.gossip.messages import ForkProven, ForkResolved

FORKED = "forked"  # the Misdeed that is told once both branches exist: of a feed or stream


class Forks:
    """Watches a journal. A feed or stream counts once, by its first fork. Most are made on
    purpose; others are only known by the evidence, as those of a node that forgot what it had
    published.
    """

    def __init__(self, loop: Loop, plan: Plan) -> None:
        self._loop = loop
        self._honest = frozenset([each.number for each in plan.nodes if each.role == "honest"])
        self._made: dict[bytes, float] = {}  # feed or stream: when
        self._proven: dict[bytes, None] = {}  # feeds, to some honest node
        self._found: dict[tuple[bytes, int], float] = {}  # by which node: how long after that

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Misdeed(name, subject) if name == FORKED and subject is not None:
                self._made.setdefault(subject, self._loop.now)
            case ForkFound(feed) if node in self._honest:
                self._find(node, feed)
            case ForkProven(fork) if node in self._honest:
                self._find(node, fork.stream)
            case ForkResolved(resolution) if node in self._honest:
                self._find(node, resolution.stream)  # which comes with a proof
            case _:
                pass

    def _find(self, node: int, log: bytes) -> None:
        self._proven[log] = None
        if log in self._made:
            self._found.setdefault((log, node), self._loop.now - self._made[log])

    @property
    def made(self) -> int:
        """On purpose, or else known by the evidence."""
        return len(self._made.keys() | self._proven.keys())

    @property
    def proven(self) -> int:
        """Of how many an honest node holds evidence."""
        return len(self._proven)

    @property
    def detection_s(self) -> tuple[float, ...]:
        """Of each fork that was made on purpose, at each honest node that found it."""
        return tuple(sorted(self._found.values()))
