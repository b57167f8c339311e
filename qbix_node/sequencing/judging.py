"""Whether what is proposed may stand in its place, and continues what this node has signed
(spec/sequencing.md 4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from qbix_node import machines as m
from qbix_node.errors import Malformed
from qbix_node.sequencing import messages as q
from qbix_node.sequencing.desk import Desk
from qbix_node.sequencing.records import Signed
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import RESERVED_KINDS, Facts, Intents, Needs
from qbix_node.streams.headers import collect
from qbix_node.streams.line import FactsOf
from qbix_node.streams.messages import Header, read_header
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash
from qbix_node.wire.references import StreamId


@dataclass(frozen=True, slots=True)
class Verdict:
    """`moved`: the log, or what this node must continue, has changed meanwhile, so nothing is
    known. Else it is right, but for a reason.
    """

    reason: str | None = None
    moved: bool = False


RIGHT, MOVED = Verdict(), Verdict(moved=True)

Judged = Callable[[Verdict], None]


@dataclass(frozen=True, slots=True)
class _Case:
    said: q.Propose
    genesis: Genesis
    before: LogState | None
    signed: Signed | None  # what it has to continue
    headers: tuple[Header, ...]
    judged: Judged

    @property
    def stream(self) -> StreamId:
        return self.said.head.stream


def judge(desk: Desk, said: q.Propose, genesis: Genesis, judged: Judged) -> None:
    """Of a proposal that begins where the log here ends."""
    stream = said.head.stream
    try:
        headers = _headers(said)
    except Malformed as error:
        judged(Verdict(str(error)))
        return
    state, signed = desk.logs.get(stream), desk.must_continue(stream)
    length = state.length if state else 0
    bases = [header.base_length for header in headers if header.base_length <= length]
    if signed is not None and signed.length <= length:
        bases.append(signed.length)
    authors = dict.fromkeys([header.author for header in headers])
    needs = Needs(tuple(authors), tuple(dict.fromkeys(bases)))
    case = _Case(said, genesis, state, signed, headers, judged)
    desk.learn(FactsOf(stream, needs, length), partial(_learned, desk, case))


def _learned(desk: Desk, case: _Case, facts: Facts) -> None:
    if _moved(desk, case):
        case.judged(MOVED)
        return
    try:
        checks = _checks(desk, case, facts)
    except Malformed as error:
        case.judged(Verdict(str(error)))
        return
    desk.verify(checks, partial(_verified, desk, case))


def _moved(desk: Desk, case: _Case) -> bool:
    stream = case.stream
    return desk.logs.get(stream) != case.before or desk.must_continue(stream) != case.signed


def _checks(desk: Desk, case: _Case, facts: Facts) -> tuple[m.SignatureCheck, ...]:
    """What is left to check once all else is right. Raises Malformed."""
    said, before = case.said, case.before
    found = roots(before, said.first, said.leaves)
    if found[said.head.length] != said.head.root:
        raise Malformed("its root is not that of the leaves")
    if case.signed is not None:
        root = found.get(case.signed.length) or facts.roots.get(case.signed.length)
        if root != case.signed.root:
            raise Malformed("this owner has signed something that it does not continue")
    intents = Intents(dict(facts.authors), dict(facts.roots))
    headers = collect(case.headers, said.first)
    intents.check(headers, case.genesis.owners.only, before, said.leaves)
    return intents.checks


def _verified(desk: Desk, case: _Case, oks: tuple[bool, ...]) -> None:
    if not all(oks):
        case.judged(Verdict("an author's signature does not match"))
    elif _moved(desk, case) or desk.behind(case.stream):
        case.judged(MOVED)
    else:
        case.judged(RIGHT)


def _headers(said: q.Propose) -> tuple[Header, ...]:
    """Of the leaves without the genesis. Raises Malformed."""
    headers = []
    for place, leaf in enumerate(said.leaves, said.first):
        if place:
            header = read_header(leaf)
            if (header.place, header.stream) != (place, said.head.stream):
                raise Malformed(f"entry {place}: its header is for another place")
            if header.kind in RESERVED_KINDS:
                raise Malformed(f"entry {place}: {header.kind} is reserved")
            headers.append(header)
    return tuple(headers)


def roots(before: LogState | None, first: int, leaves: tuple[bytes, ...]) -> dict[int, Hash]:
    """Of every length to which these leaves lead from a log that ends at `first`."""
    peaks: tuple[Hash, ...] = before.peaks if before else ()
    found = {}
    for length, leaf in enumerate(leaves, first):
        peaks, _ = grow(peaks, length, [leaf_hash(leaf)])
        found[length + 1] = bag(peaks)
    return found
