"""The file that a stream is exported to, frame by frame (spec/streams.md 9).

Form and order are checked here; whether the entries are true, by an Audit or a StreamBook.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from qbix_node.errors import BadInput, Malformed
from qbix_node.streams.forks import PROOF_BYTES_MAX, StreamFork, read_fork
from qbix_node.streams.messages import (
    SEGMENT_BYTES_MAX,
    Segment,
    SignedResolve,
    read_segment,
    read_signed_resolve,
)
from qbix_node.wire import fields
from qbix_node.wire.packing import unpack

OPENING = b"qbix stream 1\n"
LENGTH_BYTES = 4
AFTERWARDS_MAX = 16  # a SignedResolve and fork proofs after the segments: any further say nothing

Content = Segment | SignedResolve | StreamFork


def frame(encoded: bytes) -> bytes:
    return len(encoded).to_bytes(LENGTH_BYTES, "big") + encoded


@dataclass(frozen=True, slots=True)
class Frame:
    number: int  # from 1
    content: Content


@dataclass(slots=True)
class ArchiveReader:
    """Takes the file in pieces of any size; holds one frame at most beside the piece."""

    length: int = 0  # of the log, up to the last frame
    frames: int = 0
    _last: Segment | None = None
    _rest: bytearray = field(default_factory=bytearray)
    _opened: bool = False
    _afterwards: int = 0

    def take(self, piece: bytes) -> Iterator[Frame]:
        """The frames that end in this piece. Raises BadInput, which says at which frame."""
        self._rest += piece
        if not self._opened:
            opening = bytes(self._rest[: len(OPENING)])
            if not OPENING.startswith(opening):
                raise BadInput(f"no stream export: it doesn't begin with {OPENING!r}")
            if len(opening) < len(OPENING):
                return
            del self._rest[: len(OPENING)]
            self._opened = True
        while (encoded := self._next()) is not None:
            self.frames += 1
            try:
                content = self._read(encoded)
            except Malformed as error:
                raise BadInput(f"frame {self.frames}: {error}") from error
            yield Frame(self.frames, content)

    def end(self) -> None:
        """The file ends here. Raises BadInput if it must not."""
        if self._rest or not self._opened:
            raise BadInput(f"frame {self.frames + 1}: the file ends in the midst of it")
        if self._last is None:
            raise BadInput("the file has no entries")
        head = self._last.signed_head.head
        if head.length != self.length:
            reason = f"the file ends there with {self.length} of {head.length} entries"
            raise BadInput(f"frame {self.frames}: {reason}")

    def _next(self) -> bytes | None:
        if len(self._rest) < LENGTH_BYTES:
            return None
        size = int.from_bytes(self._rest[:LENGTH_BYTES], "big")
        if not 0 < size <= SEGMENT_BYTES_MAX:
            reason = f"{size} bytes are said to follow, {SEGMENT_BYTES_MAX} are allowed"
            raise BadInput(f"frame {self.frames + 1}: {reason}")
        if len(self._rest) < LENGTH_BYTES + size:
            return None
        encoded = bytes(self._rest[LENGTH_BYTES : LENGTH_BYTES + size])
        del self._rest[: LENGTH_BYTES + size]
        return encoded

    def _read(self, encoded: bytes) -> Content:
        row = fields.array(unpack(encoded, "frame"), "frame")
        if len(row) > 1 and type(row[1]) is bytes:
            return self._read_segment(encoded)
        if self._last is None:
            raise Malformed("the first frame is no segment")
        self._afterwards += 1
        if self._afterwards > AFTERWARDS_MAX:
            raise Malformed(f"more than {AFTERWARDS_MAX} frames after the segments")
        if row and type(row[0]) is tuple:
            return self._of_stream(read_signed_resolve(row))
        if len(encoded) > PROOF_BYTES_MAX:
            raise Malformed("neither segment, nor Resolve, nor fork proof")
        return self._of_stream(read_fork(encoded))

    def _read_segment(self, encoded: bytes) -> Segment:
        segment = read_segment(encoded)
        if self._afterwards:
            raise Malformed("a segment after Resolves and fork proofs")
        if self._last is not None and segment.stream != self._last.stream:
            raise Malformed("it is of another stream than those before")
        if segment.first != self.length:
            raise Malformed(f"expected the entries from {self.length} on, not {segment.first}")
        self._last, self.length = segment, segment.stop
        return segment

    def _of_stream(self, content: SignedResolve | StreamFork) -> SignedResolve | StreamFork:
        assert self._last is not None
        named = content.resolve if isinstance(content, SignedResolve) else content
        if named.stream != self._last.stream:
            raise Malformed("it is of another stream than the segments")
        return content
