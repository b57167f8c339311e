"""What a check is, and what the checks of one run know together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from netsim import facts
from netsim.checks.blind import Blind
from netsim.checks.branches import Branches
from netsim.checks.logs import Logs
from netsim.plan import Fault
from netsim.site import Site
from netsim.world import World
from qbix_node.wire.references import FeedId, StreamId

_STOPS = (Fault.RESTART, Fault.ROLL_BACK, Fault.RESTORE)

Facts = tuple[type, ...]  # kinds of facts and findings
Report = Callable[["Check", int, str], None]  # a node, and what is wrong there


@dataclass(slots=True)
class View:
    """The world as checks see it: they judge honest nodes only."""

    world: World
    honest: dict[int, Site] = field(init=False)
    numbers: dict[bytes, int] = field(init=False)  # of all nodes, by their keys
    logs: Logs = field(init=False)
    branches: Branches = field(init=False)  # of streams
    blind: Blind = field(init=False)
    _deaf: set[int] = field(default_factory=set)  # about to stop, or stopped

    def __post_init__(self) -> None:
        sites = self.world.sites
        self.honest = {n: site for n, site in sites.items() if site.plan.role == "honest"}
        self.numbers = {site.keys.public: n for n, site in sites.items()}
        disks = {n: site.disk for n, site in self.honest.items()}
        self.logs, self.branches = Logs(disks), Branches(disks)
        self.blind = Blind(self.branches, self.numbers, lambda: self.now)

    def handle(self, node: int, fact: object) -> None:
        self.blind.handle(node, fact)
        match fact:
            case facts.FaultBegan(fault) if fault.fault in _STOPS:
                self._deaf.add(node)
            case facts.Started():
                self._deaf.discard(node)
            case _:
                pass

    def hears(self, node: int) -> bool:
        """Whether what is asked of the node now is asked of anybody."""
        return self.world.members[node].up and node not in self._deaf

    @property
    def now(self) -> float:
        return self.world.loop.now

    def author(self, feed: FeedId) -> Site | None:
        """Whose feed it is, if that node is honest."""
        return self.honest.get(self.numbers.get(feed, -1))

    # ---- streams ----

    def honest_owner(self, stream: StreamId) -> Site | None:
        """Of a stream that has no other."""
        planned = self.world.streams.by_id.get(stream)
        return None if planned is None or planned.others else self.honest.get(planned.owner)

    def honest_owners(self, stream: StreamId) -> bool:
        """Whether too few of several owners lie to fork it. Who was put back may have forgotten
        what it signed.
        """
        planned = self.world.streams.by_id.get(stream)
        if planned is None or not planned.others:
            return False
        lying = [node for node in planned.owners if not self.keeps_its_word(node)]
        return len(lying) < planned.liars_min

    def keeps_its_word(self, node: int) -> bool:
        return node in self.honest and not self.logs.was_rolled_back(node)

    def owner_key(self, stream: StreamId) -> bytes | None:
        planned = self.world.streams.by_id.get(stream)
        return None if planned is None else planned.genesis.owners.only

    def name_stream(self, stream: StreamId) -> str:
        planned = self.world.streams.by_id.get(stream)
        if planned is None:
            return f"stream {stream.hex()[:8]}"
        return f"stream {planned.number} of node {planned.owner}"

    def name(self, key: bytes) -> str:
        number = self.numbers.get(key)
        return key.hex()[:8] if number is None else f"node {number}"


class Check:
    """`watches`: the types of facts that it is told; each a fact of the run, a finding of the
    product's machines, or what netsim.checks.logs found on a disk.
    """

    name: ClassVar[str]
    guards: ClassVar[str]  # page, section and words of the spec
    watches: ClassVar[Facts] = ()

    def __init__(self, view: View, report: Report) -> None:
        self.view = view
        self._report = report

    def handle(self, node: int, fact: object) -> None:
        """Told of honest nodes only."""

    def finish(self) -> None:
        """The run is over."""

    def violated(self, node: int, what: str) -> None:
        self._report(self, node, what)
