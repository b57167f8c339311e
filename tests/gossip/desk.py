"""A Gossiper with the log of one node, whose slow work is done at once."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from qbix_node import machines as m
from qbix_node.gossip import messages as g
from qbix_node.gossip.headsonly import read_heads_only
from qbix_node.gossip.machine import Gossiper
from qbix_node.runtime import verify_checks
from qbix_node.store.memory import MemoryDisk
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import Growth, continue_log, read_headers
from qbix_node.streams.messages import Segment
from qbix_node.streams.records import LogState, Run, put_nodes, put_run
from qbix_node.streams.resolution import read_forks, read_resolutions
from qbix_node.wire.references import StreamId


@dataclass
class Desk:
    """`said`: what was sent, in order. `checked`: how many signatures were."""

    rows: MemoryDisk = field(default_factory=MemoryDisk)
    geneses: dict[StreamId, Genesis] = field(default_factory=dict)
    logs: dict[StreamId, LogState] = field(default_factory=dict)
    followed: set[StreamId] = field(default_factory=set)
    said: list[tuple[m.PeerId, g.Message]] = field(default_factory=list)
    found: list[object] = field(default_factory=list)
    checked: int = 0
    now: float = 0.0
    held: list[m.Persisted] | None = None  # a list: writes wait in it
    asked: list[m.Answered] | None = None  # a list: answers of the store wait in it

    def __post_init__(self) -> None:
        self.rng = random.Random(1)
        kept = read_forks(self.rows), read_resolutions(self.rows)
        self.heads_only = read_heads_only(self.rows)
        known = self.geneses, self.logs, *kept, self.followed
        self.gossiper = Gossiper(*known, heads_only=self.heads_only)
        self.timer: float | None = None

    def take(self, genesis: Genesis, segments: Sequence[Segment]) -> None:
        """What a StreamBook would have stored of them."""
        stream = genesis.stream
        self.geneses[stream] = genesis
        for segment in segments:
            before = self.logs.get(stream)
            headers = read_headers(segment, before.length if before else 0)
            grown = continue_log(genesis, before, segment, headers)
            assert isinstance(grown, Growth)
            signed = grown.state.signed
            ends = signed.head.timestamp_ms, signed.signatures
            first = grown.state.length - len(grown.leaves)
            run = Run(first, grown.leaves, None if segment.frontier else ends)
            writes = put_run(stream, run, grown.contents) if grown.leaves else []
            self.write([*writes, *put_nodes(stream, grown.made)])
            self.logs[stream] = grown.state

    def write(self, writes: Sequence[m.Write]) -> None:
        self.rows.append(writes)
        self.rows.sync()

    def meet(self, peer: m.PeerId, *streams: StreamId) -> None:
        self.do(m.Connected(peer, outgoing=True))
        self.do(m.Requested(g.Announced(peer, streams, ())))

    def hear_of(self, stream: StreamId, *, wanted: bool = True) -> None:
        self.do(m.Requested(g.HearOf(1, stream, wanted)))

    def hear(self, peer: m.PeerId, message: g.Message) -> None:
        self.do(m.Received(peer, message))

    def round(self) -> None:
        assert self.timer is not None
        self.now = self.timer
        self.do(m.TimerFired("gossip/round"))

    def do(self, event: m.Event) -> None:
        waiting = [event]
        while waiting:
            for effect in self.gossiper.handle(waiting.pop(0), self.now, self.rng):
                match effect:
                    case m.Send(to, message):
                        assert isinstance(message, g.Message)
                        assert g.read_message(g.encode(message)) == message
                        self.said.append((to, message))
                    case m.Emit(finding):
                        self.found.append(finding)
                    case m.Verify(token, checks):
                        self.checked += len(checks)
                        waiting.append(m.Verified(token, verify_checks(checks)))
                    case m.Ask(token, question):
                        answered = m.Answered(token, question.answer(self.rows))
                        waiting += [answered] if self.asked is None else []
                        self.asked = None if self.asked is None else [*self.asked, answered]
                    case m.Persist(token, writes):
                        self.write(writes)
                        (waiting if self.held is None else self.held).append(m.Persisted(token))
                    case m.SetTimer(_, at):
                        self.timer = at
                    case m.Load():
                        raise AssertionError("gossip loads nothing")

    def answer_all(self) -> None:
        answers, self.asked = self.asked or [], None
        for answer in answers:
            self.do(answer)

    def take_said(self, kind: type[g.Message] | None = None) -> list[tuple[m.PeerId, g.Message]]:
        said, self.said = self.said, []
        return [each for each in said if kind is None or isinstance(each[1], kind)]
