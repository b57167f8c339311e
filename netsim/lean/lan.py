"""Nodes that shout who they are, and hear each other (spec/transport.md 7)."""

from functools import lru_cache

from netsim.lean.connecting import Connecting
from netsim.lean.process import Process
from netsim.site import host_of
from qbix_node.errors import Malformed
from qbix_node.net.address import Address
from qbix_node.net.announcements import announce, parse_announcement
from qbix_node.net.discovery import INTERVAL_S
from qbix_node.net.messages import Heard

# The same words from the same host mean the same, and checking a key costs much.
_parse = lru_cache(maxsize=4096)(parse_announcement)


class Shouting:
    def __init__(self, process: Process, connecting: Connecting) -> None:
        self._process = process
        self._connecting = connecting
        self._words = announce(process.site.address)

    def start(self) -> None:
        process = self._process
        process.world.fabric.hear(
            process.number, lambda words, by: process.enter(self._hear, words, by)
        )
        self._shout()

    def _shout(self) -> None:
        self._process.world.fabric.broadcast(self._process.number, self._words)
        self._process.later(INTERVAL_S, self._shout)

    def _hear(self, words: bytes, by: int) -> None:
        address = _heard(words, host_of(by))
        if address is not None and address.key != self._process.site.peer:
            self._connecting.ask(Heard(address))


def _heard(words: bytes, host: str) -> Address | None:
    try:
        return _parse(words, host)
    except Malformed:
        return None
