"""Who can open what is sealed: the keys of all nodes of the run are tried."""

from typing import ClassVar

from netsim import facts
from netsim.asking import content_of
from netsim.checks.check import Check, Facts, Report, View
from netsim.plan import Do, Operation
from qbix_node.feeds.messages import ClassicMessage, Published, PublishRefused
from qbix_node.feeds.private import unseal

STRANGERS_MAX = 6  # of the other nodes, so many are tried for each message


class SealedForItsReaders(Check):
    """What was asked to be sealed for one node opens for that one and the writer, for nobody else;
    and nothing that was asked to be sealed is published in the open.
    """

    name = "private messages open for their readers only"
    guards = "spec/private-messages.md: may be sealed, so that only its readers can open it"
    watches: ClassVar[Facts] = (facts.Asked, facts.Started, Published, PublishRefused)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._asked: dict[int, list[Operation]] = {}
        self.opened = 0

    def handle(self, node: int, fact: object) -> None:
        match fact:
            case facts.Asked(Operation(do=Do.PUBLISH, target=int()) as operation):
                self._asked.setdefault(node, []).append(operation)
            case facts.Started():
                pass  # what was asked before may have become durable all the same
            case Published(message=message):
                self._look(node, message)
            case _:
                pass

    def _look(self, node: int, message: ClassicMessage) -> None:
        writer = self.view.honest[node]
        if not isinstance(message.content, str):
            texts = [content_of(operation) for operation in self._asked.get(node, ())]
            if message.content in texts and message.content is not None:
                self.violated(node, f"message {message.sequence} was to be sealed")
            return
        content = unseal(message, writer.keys)
        if not isinstance(content, dict):
            self.violated(node, f"its own private message {message.sequence} does not open")
            return
        plain = {name: value for name, value in content.items() if name != "recps"}
        targets = [
            operation.target
            for operation in self._asked.get(node, ())
            if operation.target is not None and content_of(operation) == plain
        ]
        if not targets:
            self.violated(node, f"nobody asked for the private message {message.sequence}")
            return
        self._try_keys(node, message, targets)

    def _try_keys(self, node: int, message: ClassicMessage, targets: list[int]) -> None:
        sites = self.view.world.sites
        if not any(unseal(message, sites[target].keys) for target in targets):
            self.violated(node, f"no reader opens the private message {message.sequence}")
        others = [number for number in sites if number != node and number not in targets]
        turn = message.sequence % max(1, len(others))
        for number in (others[turn:] + others[:turn])[:STRANGERS_MAX]:
            if unseal(message, sites[number].keys) is not None:
                what = f"node {number} opens the private message {message.sequence}"
                self.violated(node, what)
        self.opened += 1


PRIVACY_CHECKS = (SealedForItsReaders,)
