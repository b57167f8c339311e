"""Contents of streams, asked for and answered: as `qbix.contents` has it in the daemon."""

from collections.abc import Callable

from netsim.lean.link import Link
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from qbix_node import machines as m
from qbix_node.replication.streams.contents import messages as c
from qbix_node.replication.streams.contents.service import ANSWER_S
from qbix_node.streams.shelf import answer_contents
from qbix_node.wire.references import StreamId


class Contents:
    """There is one question to a peer at a time."""

    def __init__(
        self, process: Process, runner: Runner, serves: Callable[[m.PeerId, StreamId], bool]
    ) -> None:
        self._process = process
        self._runner = runner
        self._serves = serves
        self._asked: dict[m.PeerId, c.WantContents] = {}

    def ask(self, link: Link, question: c.WantContents) -> None:
        self._asked[link.peer] = question
        link.say(question)
        self._process.later(ANSWER_S, self._give_up, link.peer, question)

    def hear(self, link: Link, message: object) -> None:
        match message:
            case c.WantContents(stream, places):
                found: tuple[bytes | None, ...] = (None,) * len(places)
                if self._serves(link.peer, stream):
                    found = answer_contents(self._process.site.disk, stream, places).contents
                link.say(c.Contents(found))
            case c.Contents() | c.NoContents():
                self._answered(link.peer, message)
            case _:
                raise AssertionError(f"not about contents: {message}")

    def end(self, link: Link) -> None:
        self._asked.pop(link.peer, None)

    def _give_up(self, peer: m.PeerId, question: c.WantContents) -> None:
        if self._asked.get(peer) is question:
            self._answered(peer, c.NoContents())

    def _answered(self, peer: m.PeerId, answer: c.Contents | c.NoContents) -> None:
        if self._asked.pop(peer, None):
            self._runner.post(m.Received(peer, answer))
