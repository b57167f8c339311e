"""Compares what nodes found with what was there, by brute force."""

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from netsim import facts
from netsim.dht.faces import Face
from netsim.dht.net import Net
from netsim.dht.weighing import kib_of
from qbix_node.crypto.keys import verify
from qbix_node.dht import requests as r
from qbix_node.dht.ids import NodeId
from qbix_node.dht.messages import Told
from qbix_node.dht.records import Record
from qbix_node.wire.v8json import JsonValue

NEAREST = 16  # of the 20 that a lookup finds: those behind whom it had more to choose from
JOINED_S = 10.0  # after its start a newcomer can be expected to be found
PUBLISHED_S = 30.0  # and a record, after it was published
TOLD_MAX = 20
WEIGHED = 16  # nodes whose memory is measured


@dataclass(slots=True)
class Question:
    node: int
    at_s: float
    target: NodeId
    attacked: bool = False  # colluders knew the target
    publisher: int | None = None  # whose record is looked for


@dataclass(slots=True)
class Judge:
    net: Net
    counts: Counter[str] = field(default_factory=Counter)
    calls: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    inexact: list[JsonValue] = field(default_factory=list)  # the first TOLD_MAX
    open: dict[int, Question] = field(default_factory=dict)
    _asked: int = 0

    def ask(self, question: Question) -> int:
        """The number under which it will be answered."""
        self._asked += 1
        self.open[self._asked] = question
        return self._asked

    def found(self, node: int, finding: object) -> None:
        match finding:
            case r.Found(number) if number in self.open:
                self._judge_lookup(self.open.pop(number), finding)
            case r.Got(number) if number in self.open:
                self._judge_get(self.open.pop(number), finding)
            case _:
                pass

    # ---- lookups ----

    def _judge_lookup(self, asked: Question, found: r.Found) -> None:
        net, now = self.net, self.net.now
        asker = net.faces.by_number[asked.node]
        strays = tuple([each for each in found.nodes if not self._was_there(each, asked)])
        net.world.journal.tell(asked.node, facts.DhtFound(len(found.nodes), len(strays)))
        if self._split_since(asked.at_s):
            self.counts["lookups across a split"] += 1
            return
        number = int.from_bytes(asked.target)
        steady = [each for each in net.faces if self._is_steady(each, asked, asker)]
        # Whoever came or went meanwhile may be found or not; others don't make room for it.
        got = {each.key: net.faces.by_key.get(each.key) for each in found.nodes}
        there = {each.key: each for each in (*steady, *got.values()) if each is not None}
        nearest = heapq.nsmallest(NEAREST, there.values(), key=lambda each: each.long_id ^ number)
        missing = sum(each.key not in got for each in nearest)
        exact = not missing
        kind = "attacked lookups" if asked.attacked else "lookups"
        self.counts[kind] += 1
        self.counts[f"{kind} exact"] += exact
        if not exact:
            self.counts[f"{kind} that missed {missing}"] += 1
            if len(self.inexact) < TOLD_MAX:
                said: JsonValue = {
                    "at_s": round(asked.at_s, 3),
                    "node": asked.node,
                    "missed": missing,
                }
                self.inexact.append(said)
        self.calls.append(found.evidence.asked)
        self.seconds.append(now - asked.at_s)

    def _is_steady(self, face: Face, asked: Question, asker: Face) -> bool:
        """It was there and answered while the lookup lasted."""
        joined = face.since + JOINED_S <= asked.at_s
        stays = face.gone_at > self.net.now
        near = self.net.same_side(face.number, asker.number)
        return joined and stays and near and face is not asker and face.answers(asker)

    def _was_there(self, told: Told, asked: Question) -> bool:
        face = self.net.faces.by_key.get(told.key)
        return face is not None and face.told == told and face.down_since > asked.at_s

    def _split_since(self, at_s: float) -> bool:
        return self.net.last_split_at > at_s

    # ---- records ----

    def _judge_get(self, asked: Question, got: r.Got) -> None:
        net = self.net
        false = tuple([why for each in got.records if (why := self._false(each, asked.target))])
        net.world.journal.tell(asked.node, facts.DhtGot(len(got.records), false))
        if self._split_since(asked.at_s):
            self.counts["reads across a split"] += 1
            return
        assert asked.publisher is not None
        key = net.faces.by_number[asked.publisher].key
        mine = [each for each in got.records if each.signer == key]
        newest = self.net.published.newest(asked.publisher, asked.at_s - PUBLISHED_S)
        edition = max([self.net.published.edition(each.content) for each in mine], default=-1)
        self.counts["reads"] += 1
        self.counts["reads found"] += edition >= newest
        self.counts["reads of an older one"] += 0 <= edition < newest

    def _false(self, record: Record, key: NodeId) -> str:
        """Why it must not come out; judged without the machine's own means."""
        if not verify(record.signer, record.signed, record.signature):
            return "its signature is wrong"
        if record.expires_s <= self.net.now + self.net.ahead_s:
            return "it is over"
        return "" if record.key == key else "it lies elsewhere"

    # ---- figures ----

    def figures(self) -> Mapping[str, JsonValue]:
        up = self.net.there()
        weighed = up[:: max(1, len(up) // WEIGHED)][:WEIGHED]
        machines = [dht for each in weighed if (dht := self.net.members[each.number].dht)]
        shared = (self.net.limits,)
        weights = [kib_of(each, but=shared) for each in machines]
        contacts = [len(each.table) for each in machines]
        return {
            "goals": {
                name: goal for name, goal in asdict(self.net.plan.goals).items() if goal is not None
            },
            **dict(sorted(self.counts.items())),
            "calls": sum(self.calls),
            "calls_most": max(self.calls, default=0),
            "inexact": list(self.inexact),
            "unanswered": len(self.open),
            "seconds": round(sum(self.seconds), 3),
            "memory_kib": round(sum(weights) / max(1, len(weights)), 1),
            "memory_kib_most": round(max(weights, default=0.0), 1),
            "contacts": round(sum(contacts) / max(1, len(contacts)), 1),
        }
