"""The blobs of a role that is honest about them: a BlobExchange, and the bytes in memory."""

from netsim.asking import blob_content, blob_of
from netsim.messages import BlobBytes, BlobCancel, BlobEnd, BlobGet
from netsim.plan import Do, Operation
from qbix_node import machines as m
from qbix_node.blobs import messages as b
from qbix_node.blobs.limits import Limits
from qbix_node.blobs.machine import BlobExchange
from qbix_node.blobs.quota import SympathyQuota
from qbix_node.crypto.boxes import sha256
from qbix_node.wire.references import BlobId

PIECE_BYTES = 64 * 1024

_Get = tuple[m.PeerId, int]  # whom we ask, and the number of our question


class BlobSide:
    def __init__(self) -> None:
        limits = Limits()
        self.files: dict[BlobId, bytes] = {}
        self.exchange = BlobExchange(limits, {}, (), SympathyQuota(limits.sympathy_bytes_max))
        self._drafts: dict[_Get, tuple[b.Get, bytearray]] = {}

    def handle(self, event: m.Event, now: float, rng: m.Rng) -> list[m.Effect]:
        """Send and SetTimer only."""
        out: list[m.Effect] = []
        for told in self._translate(event, out):
            self._tell(told, now, rng, out)
        return out

    def _translate(self, event: m.Event, out: list[m.Effect]) -> list[m.Event]:
        """What the exchange is to be told."""
        match event:
            case m.Connected(peer):
                out.append(m.Send(peer, b.Listening()))
            case m.Disconnected(peer):
                left = [place for place in self._drafts if place[0] == peer]
                return [event, *[self._end(place, "the connection is gone") for place in left]]
            case m.Requested(Operation() as operation):
                return self._asked(operation)
            case m.Received(peer, BlobGet() as get):
                out += self._serve(peer, get)
                return []
            case m.Received(peer, BlobBytes(number, data)) if (peer, number) in self._drafts:
                asked, draft = self._drafts[peer, number]
                draft += data
                return [m.Received(peer, b.Progress(number, asked.blob))]
            case m.Received(peer, BlobEnd(number, reason)) if (peer, number) in self._drafts:
                return [self._end((peer, number), reason)]
            case _:
                pass
        return [event]

    def _asked(self, operation: Operation) -> list[m.Event]:
        match operation.do:
            case Do.ADD_BLOB:
                data = blob_content(operation)
                self.files[BlobId(sha256(data))] = data
                return [m.Requested(b.Added(BlobId(sha256(data)), len(data)))]
            case Do.WANT_BLOB:
                return [m.Requested(b.WantBlob(blob_of(operation)))]
            case Do.UNWANT_BLOB:
                return [m.Requested(b.Unwant(blob_of(operation)))]
            case Do.REMOVE_BLOB:
                self.files.pop(blob_of(operation), None)
                return [m.Requested(b.Removed(blob_of(operation)))]
            case _:
                return []

    def _serve(self, peer: m.PeerId, get: BlobGet) -> list[m.Effect]:
        data = self.files.get(get.blob)
        if data is None or len(data) > get.size:
            return [m.Send(peer, BlobEnd(get.number, "not here"))]
        starts = range(0, len(data), PIECE_BYTES)
        pieces = [BlobBytes(get.number, data[start : start + PIECE_BYTES]) for start in starts]
        return [m.Send(peer, message) for message in (*pieces, BlobEnd(get.number))]

    def _end(self, place: _Get, reason: str | None) -> m.Event:
        get, draft = self._drafts.pop(place)
        data, (peer, number) = bytes(draft), place
        if reason is None and sha256(data) == get.blob:
            self.files[get.blob] = data
            return m.Received(peer, b.Got(number, get.blob, len(data)))
        failure = b.Failure.UNAVAILABLE if reason else b.Failure.WRONG
        return m.Received(peer, b.Failed(number, get.blob, failure, reason or "wrong bytes"))

    def _tell(self, event: m.Event, now: float, rng: m.Rng, out: list[m.Effect]) -> None:
        for effect in self.exchange.handle(event, now, rng):
            match effect:
                case m.Send(peer, b.Get(number, blob, size) as get):
                    self._drafts[peer, number] = get, bytearray()
                    out.append(m.Send(peer, BlobGet(number, blob, size)))
                case m.Send(peer, b.Cancel(number)):
                    out.append(m.Send(peer, BlobCancel(number)))
                    if (peer, number) in self._drafts:
                        self._tell(self._end((peer, number), "cancelled"), now, rng, out)
                case m.Send(peer, b.Want() | b.Have() as note):
                    out.append(m.Send(peer, note))
                case m.SetTimer():
                    out.append(effect)
                case m.Persist(token):
                    self._tell(m.Persisted(token), now, rng, out)
                case m.Emit(b.Discard(blob)):
                    self.files.pop(blob, None)
                case _:
                    pass
