"""The world of the BlobExchange: what `qbix_node.blobs.service` is in the daemon."""

from netsim import messages as n
from netsim.lean.fetching import Fetching
from netsim.lean.link import Link
from netsim.lean.placing import Placing
from netsim.lean.process import Process
from netsim.lean.runner import Runner
from netsim.lean.serving import Serving
from netsim.lean.writer import Writer
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.recovery import recover
from qbix_node.errors import Temporary
from qbix_node.wire.references import BlobId


class Sharing:
    def __init__(self, process: Process, writer: Writer, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        site = process.site
        self.machine, stale = recover(site.disk, site.files.sizes(), limits)
        if stale:
            writer.write(stale, lambda: None)  # before all else that is written
        self._runner = Runner(process, writer, self.machine, self, rng=process.site.rng("blobs"))
        self._placing = Placing(process, self._runner)
        self._fetching = Fetching(process, self._runner, self._placing)
        self._peers: dict[m.PeerId, Serving] = {}

    @property
    def wants(self) -> int:
        return len(self.machine.own_wants)

    @property
    def sympathy_bytes(self) -> int:
        held = self.machine.held
        return sum([size for blob, size in held.items() if self.machine.by_sympathy(blob)])

    # ---- what its person asks ----

    def add(self, data: bytes) -> None:
        """Nothing, if it is too large or the disk is full."""
        if len(data) > self._limits.blob_bytes_max:
            return
        draft = self._process.site.files.draft()
        try:
            draft.write([data])
        except Temporary:
            draft.__exit__(None, None, None)
            return
        self._placing.keep(draft, m.Requested(b.Added(draft.blob, draft.size)))

    def want(self, blob: BlobId) -> None:
        self._runner.post(m.Requested(b.WantBlob(blob)))

    def unwant(self, blob: BlobId) -> None:
        self._runner.post(m.Requested(b.Unwant(blob)))

    def remove(self, blob: BlobId) -> None:
        self._placing.remove(blob)

    # ---- links ----

    def begin(self, link: Link) -> None:
        site, held = self._process.site, self.machine.held
        self._peers[link.peer] = Serving(link, site, held, self._limits)
        self._runner.post(m.Connected(link.peer, link.outgoing))
        link.say(b.Listening())

    def hear(self, link: Link, message: object) -> None:
        serving = self._peers[link.peer]
        match message:
            case b.Want() | b.Have():
                self._runner.post(m.Received(link.peer, message))
            case b.Listening():
                if serving.listen():
                    self._runner.post(m.Received(link.peer, message))
            case n.BlobGet():
                serving.get(message)
            case n.BlobCancel(number):
                serving.cancel(number)
            case n.BlobBytes():
                self._fetching.take(link, message)
            case n.BlobEnd():
                self._fetching.end(link, message)
            case _:
                link.close("that is nothing that peers say")

    def end(self, link: Link) -> None:
        del self._peers[link.peer]
        self._fetching.lose(link)
        self._runner.post(m.Disconnected(link.peer))

    def abandon(self) -> None:
        """The process dies."""
        self._fetching.abandon()
        self._placing.abandon()

    # ---- the machine's decisions ----

    def send(self, to: m.PeerId, message: object) -> None:
        serving = self._peers.get(to)
        if serving is not None:
            self._process.said(to, message)
        match message:
            case b.Want() | b.Have():
                if serving is not None:
                    serving.note(message)
            case b.Get():
                self._fetching.start(to, message, serving.link if serving else None)
            case b.Cancel(number):
                self._fetching.cancel(number)
            case _:
                raise AssertionError(f"nothing to send: {message}")

    def found(self, finding: object) -> None:
        self._process.tell(finding)
        match finding:
            case b.Arrived() | b.Gone():
                self._placing.answered(finding)
            case b.Discard(blob):
                self._placing.give_up(blob)
            case _:
                pass
