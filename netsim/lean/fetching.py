"""Blobs on their way here: each Get is answered by Got, once the blob is durable, or by Failed."""

from dataclasses import dataclass

from netsim import messages as n
from netsim.lean.link import Link
from netsim.lean.placing import Placing
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.files import Draft
from qbix_node.errors import Temporary


@dataclass(slots=True, eq=False)
class _Fetch:
    get: b.Get
    link: Link
    draft: Draft


class Fetching:
    def __init__(self, process: Process, runner: Runner, placing: Placing) -> None:
        self._process = process
        self._runner = runner
        self._placing = placing
        self._fetches: dict[int, _Fetch] = {}

    def start(self, peer: m.PeerId, get: b.Get, link: Link | None) -> None:
        if link is None:
            self._say_failed(peer, get, b.Failure.UNAVAILABLE, "the connection is gone")
            return
        self._fetches[get.number] = _Fetch(get, link, self._process.site.files.draft())
        link.say(n.BlobGet(get.number, get.blob, get.size))

    def cancel(self, number: int) -> None:
        if fetch := self._fetches.get(number):
            self._break_off(fetch, b.Failure.UNAVAILABLE, "it was broken off")

    def take(self, link: Link, message: n.BlobBytes) -> None:
        fetch = self._fetches.get(message.number)
        if fetch is None or fetch.link is not link:
            return  # it has ended here
        get, data = fetch.get, message.data
        if fetch.draft.size + len(data) > get.size:
            more = f"it sent more than the {get.size} bytes that it announced"
            self._break_off(fetch, b.Failure.WRONG, more)
            return
        try:
            fetch.draft.write([data])
        except Temporary as full:
            self._break_off(fetch, b.Failure.DISK, str(full))
            return
        self._runner.post(m.Received(link.peer, b.Progress(get.number, get.blob)))

    def end(self, link: Link, message: n.BlobEnd) -> None:
        fetch = self._fetches.get(message.number)
        if fetch is None or fetch.link is not link:
            return
        get, draft = fetch.get, fetch.draft
        if message.reason is not None:
            self._fail(fetch, b.Failure.UNAVAILABLE, message.reason)
        elif draft.blob != get.blob:
            other = f"it sent {draft.size} bytes that have another hash"
            self._fail(fetch, b.Failure.WRONG, other)
        else:
            del self._fetches[get.number]
            got = b.Got(get.number, get.blob, draft.size)
            self._placing.keep(draft, m.Received(link.peer, got))

    def lose(self, link: Link) -> None:
        for fetch in [fetch for fetch in self._fetches.values() if fetch.link is link]:
            self._fail(fetch, b.Failure.UNAVAILABLE, "the connection is closed")

    def abandon(self) -> None:
        """The process dies: its drafts are swept."""
        for fetch in self._fetches.values():
            fetch.draft.__exit__(None, None, None)

    def _break_off(self, fetch: _Fetch, failure: b.Failure, reason: str) -> None:
        fetch.link.say(n.BlobCancel(fetch.get.number))
        self._fail(fetch, failure, reason)

    def _fail(self, fetch: _Fetch, failure: b.Failure, reason: str) -> None:
        del self._fetches[fetch.get.number]
        fetch.draft.__exit__(None, None, None)
        self._say_failed(fetch.link.peer, fetch.get, failure, reason)

    def _say_failed(self, peer: m.PeerId, get: b.Get, failure: b.Failure, reason: str) -> None:
        failed = b.Failed(get.number, get.blob, failure, reason)
        self._runner.post(m.Received(peer, failed))
