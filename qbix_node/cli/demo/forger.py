"""Somebody who signs two histories of one stream, as no honest node would."""

import time
from collections.abc import Sequence

from qbix_node.crypto.entropy import new_keypair, random_bytes
from qbix_node.streams.archive import OPENING, frame
from qbix_node.streams.authoring import make_genesis, make_genesis_segment, make_segment
from qbix_node.streams.genesis import Uniqueness
from qbix_node.streams.growth import Growth, continue_log, read_headers
from qbix_node.streams.messages import NewEntry, Segment
from qbix_node.streams.records import LogState
from qbix_node.wire.references import format_feed, format_stream

STEP_MS = 1000


class Forger:
    """The owner of a stream who writes it as often as it likes, each time from the start."""

    def __init__(self) -> None:
        self._keys = new_keypair()
        salt = random_bytes(16)
        self._genesis = make_genesis(self._keys, "notice", Uniqueness.GOSSIP, salt=salt)
        self._begun_ms = int(1000 * time.time())
        self.stream = format_stream(self._genesis.stream)
        self.name = format_feed(self._keys.public)

    def write(self, texts: Sequence[str]) -> bytes:
        """An export of that history; a signed Head over each entry."""
        segment = make_genesis_segment(self._genesis, self._keys, self._begun_ms)
        state, frames = self._after(None, segment), [frame(segment.encoded)]
        for number, text in enumerate(texts, 1):
            entry = NewEntry("notice", text.encode())
            stamp_ms = self._begun_ms + number * STEP_MS
            segment = make_segment(state, self._keys, [entry], stamp_ms)
            state = self._after(state, segment)
            frames.append(frame(segment.encoded))
        return OPENING + b"".join(frames)

    def _after(self, state: LogState | None, segment: Segment) -> LogState:
        headers = read_headers(segment, state.length if state else 0)
        growth = continue_log(self._genesis, state, segment, headers)
        assert isinstance(growth, Growth)  # each history by itself is in order
        return growth.state
