"""What one peer is told and given of blobs: notes, once it listens, and bytes (spec/blobs.md 3)."""

from collections import deque
from collections.abc import Mapping

from netsim import messages as n
from netsim.lean.link import Link
from netsim.site import Site
from qbix_node.blobs import messages as b
from qbix_node.blobs.files import NoSuchBlob
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.outbox import Outbox
from qbix_node.blobs.serving import PACKET_BYTES
from qbix_node.errors import Temporary
from qbix_node.wire.references import BlobId, format_blob

OPEN_MAX = 256  # requests of one peer; a further one is refused (net/limits.py)


class Serving:
    __slots__ = ("_held", "_limits", "_listens", "_outbox", "_site", "_turns", "_waiting", "link")

    def __init__(self, link: Link, site: Site, held: Mapping[BlobId, int], limits: Limits) -> None:
        self.link = link
        self._site = site
        self._held = held
        self._limits = limits
        self._outbox: Outbox | None = None  # while the peer listens
        self._listens = 0
        self._turns: dict[int, _Turn] = {}  # those that are being served
        self._waiting: deque[n.BlobGet] = deque()

    # ---- notes ----

    def listen(self) -> bool:
        """The peer asks for our notes. False: once too often."""
        self._listens += 1
        if self._listens > self._limits.peer_listens_max:
            return False
        self._outbox = Outbox(self._limits.unsent_notes_max)
        return True

    def note(self, note: b.Note) -> None:
        if self._outbox is None:
            return  # it does not listen; when it does, it is told all
        if self._outbox.put(note):
            self.link.ready(self)
        else:
            self._outbox = None

    def send_next(self) -> bool:
        for note in self._outbox.take() if self._outbox else ():
            self.link.say(note)
        return False

    # ---- bytes ----

    def get(self, wish: n.BlobGet) -> None:
        if len(self._turns) + len(self._waiting) >= OPEN_MAX:
            self.link.say(n.BlobEnd(wish.number, "too many requests are open"))
            return
        self._waiting.append(wish)
        self._fill()

    def cancel(self, number: int) -> None:
        self._turns.pop(number, None)
        self._waiting = deque([wish for wish in self._waiting if wish.number != number])
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._turns) < self._limits.peer_gets_max:
            wish = self._waiting.popleft()
            turn = self._turns[wish.number] = _Turn(self, wish)
            self.link.ready(turn)

    def send_next_of(self, turn: "_Turn") -> bool:
        wish = turn.wish
        if self._turns.get(wish.number) is not turn:
            return False
        more = False
        try:
            more = self._send_bytes(turn)
        except (NoSuchBlob, Temporary):
            self._end(turn, f"{format_blob(wish.blob)} can't be read now")
        return more

    def _send_bytes(self, turn: "_Turn") -> bool:
        wish = turn.wish
        if turn.size is None:
            turn.size = self._held.get(wish.blob)
            if turn.size is None:
                self._end(turn, f"{format_blob(wish.blob)} is not here")
                return False
            if turn.size > wish.size:
                self._end(turn, f"{format_blob(wish.blob)} has {turn.size} bytes")
                return False
        if turn.sent >= turn.size:
            self._end(turn, None)
            return False
        data = self._site.files.read(wish.blob, turn.sent, PACKET_BYTES)
        turn.sent += PACKET_BYTES
        self.link.say(n.BlobBytes(wish.number, data))
        return True

    def _end(self, turn: "_Turn", reason: str | None) -> None:
        del self._turns[turn.wish.number]
        self.link.say(n.BlobEnd(turn.wish.number, reason))
        self._fill()


class _Turn:
    """One blob on its way to the peer."""

    __slots__ = ("_serving", "sent", "size", "wish")

    def __init__(self, serving: Serving, wish: n.BlobGet) -> None:
        self._serving = serving
        self.wish = wish
        self.size: int | None = None  # known when its turn comes
        self.sent = 0

    def send_next(self) -> bool:
        return self._serving.send_next_of(self)
