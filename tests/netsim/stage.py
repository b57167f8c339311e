"""A world whose nodes do nothing by themselves: a test writes disks and tells what happens."""

from collections.abc import Mapping

from netsim.asking import content_of
from netsim.checks import Checks
from netsim.checks.check import Check
from netsim.plan import NodePlan, Operation, Plan, PlannedFault
from netsim.running import make_world
from netsim.site import Site
from netsim.world import Load, World
from qbix_node.feeds.authoring import make_message
from qbix_node.feeds.messages import Appended, ClassicMessage, Head, Published, Readers
from qbix_node.feeds.private import seal
from qbix_node.feeds.records import put_head, put_message
from qbix_node.machines import PeerId
from qbix_node.ports import Delete, Write
from qbix_node.wire.v8json import JsonValue

HONEST = 3  # nodes 0, 1 and 2, who all know each other; node 3 is not honest
ALL = tuple(range(HONEST + 1))


class Idle:
    """The driver of a world in which nothing happens by itself."""

    silence_s: float | None = None

    def run(self, world: World) -> None:
        """Nothing."""


class Puppet:
    """A member that is up, and says of itself what a test wants."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.up = True
        self.kept = Load()

    def start(self) -> None:
        self.up = True

    def stop(self) -> None:
        self.up = False

    def crash(self, *, power: bool) -> None:
        self.up = False

    def ask(self, operation: Operation) -> None:
        """Nothing."""

    def load(self) -> Load:
        return self.kept


class Stage:
    def __init__(
        self,
        *faults: PlannedFault,
        settings: Mapping[str, float] | None = None,
        lan: bool = False,
        operations: tuple[Operation, ...] = (),
    ) -> None:
        nodes = tuple(
            [
                NodePlan(
                    number,
                    role="honest" if number < HONEST else "equivocator",
                    knows=tuple([other for other in ALL if other != number]),
                    follows=tuple([other for other in ALL if other != number]),
                )
                for number in ALL
            ]
        )
        plan = Plan(
            "by hand",
            1,
            nodes,
            10.0,
            10.0,
            lan=lan,
            operations=operations,
            faults=faults,
            settings=settings or {},
        )
        self.world = make_world(plan, Idle())
        self.puppets = {number: Puppet(site) for number, site in self.world.sites.items()}
        self.world.members.update(self.puppets)
        self.checks = Checks(self.world)
        self.now_ms = 1_800_000_000_000
        self.logs: dict[int, list[ClassicMessage]] = {number: [] for number in ALL}

    def site(self, number: int) -> Site:
        return self.world.sites[number]

    def peer(self, number: int) -> PeerId:
        return self.world.sites[number].peer

    def tell(self, node: int, *facts: object) -> None:
        for fact in facts:
            self.world.journal.tell(node, fact)

    def wait(self, seconds: float) -> None:
        self.world.loop.now += seconds

    def write(self, node: int, *writes: Write) -> None:
        self.site(node).disk.append(writes)
        self.site(node).disk.sync()

    def compose(
        self, author: int, text: str = "hello", *, after: Head | None = None, reader: int = -1
    ) -> ClassicMessage:
        """The author's message after its last one, or after another; nobody has it yet."""
        log = self.logs[author]
        head = after if after is not None else (log[-1].head if log else None)
        keys = self.site(author).keys
        content: JsonValue = {"type": "post", "text": text}
        stamp = self.now_ms + (2 * head.sequence if head else 0)
        if reader < 0:
            return make_message(keys, head, content, stamp)
        readers = Readers((self.site(reader).feed,))
        draws = self.world.chance.draws("test")
        return make_message(keys, head, seal(content, readers, keys, head, draws.randbytes), stamp)

    def text_of(self, operation: Operation) -> str:
        content = content_of(operation)
        assert isinstance(content, dict)
        return str(content["text"])

    def store(self, node: int, message: ClassicMessage, source: int | None = None) -> None:
        """The node has it durably, and says so."""
        self.write(node, put_message(message, 1), put_head(message.author, message.head))
        peer = None if source is None else self.peer(source)
        self.tell(node, Appended(message.author, message.sequence, message.sequence, peer))

    def publish(self, author: int, text: str = "hello", *, reader: int = -1) -> ClassicMessage:
        message = self.compose(author, text, reader=reader)
        self.logs[author].append(message)
        self.store(author, message)
        self.tell(author, Published(1, message))
        return message

    def forget(self, node: int, message: ClassicMessage) -> None:
        """As if it had never been written."""
        place = message.sequence.to_bytes(8, "big")
        before = self.logs[self.world.journal.number(message.author)][message.sequence - 2]
        self.write(
            node, Delete(b"f/m" + message.author + place), put_head(message.author, before.head)
        )

    def violated(self) -> list[str]:
        return [violation.check for violation in self.checks.violations]

    def blames(self, check: type[Check], node: int | None = None) -> bool:
        """This check, and no other one, and this node, if it matters."""
        blamed = {violation.node for violation in self.checks.violations}
        return set(self.violated()) == {check.name} and (node is None or blamed == {node})
