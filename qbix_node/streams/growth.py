"""Whether a run of entries continues a log, and what the log is then (spec/streams.md 2, 7, 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.ports import Write
from qbix_node.streams.genesis import Genesis, Uniqueness, read_genesis
from qbix_node.streams.headers import Headers, read_in_a_row
from qbix_node.streams.messages import (
    CONTENT_BYTES_MAX,
    ENTRIES_MAX,
    Header,
    Segment,
    SignedHead,
)
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.records import (
    AuthorState,
    LogState,
    Run,
    put_author,
    put_genesis,
    put_log,
    put_nodes,
    put_run,
)
from qbix_node.streams.succession import OWNERS_SET, read_owners_set
from qbix_node.streams.tree import Hash, Subtrees, bag, grow, lead, leaf_hash, leaf_hashes
from qbix_node.wire.references import StreamId

_WATCHED_ONLY = frozenset({"void", "reanchor"})
RESERVED_KINDS = _WATCHED_ONLY | {OWNERS_SET}  # SPEC streams 7


@dataclass(frozen=True, slots=True)
class Growth:
    """A log that may be continued so, if the signatures are right."""

    state: LogState
    leaves: tuple[bytes, ...]  # only what is new
    contents: tuple[bytes | None, ...]
    made: list[Subtrees]
    authors: Mapping[AuthorId, AuthorState]  # of intents
    head_checks: tuple[SignatureCheck, ...]  # none where they were made before
    checks: tuple[SignatureCheck, ...]  # of intents and changes of owners


@dataclass(frozen=True, slots=True)
class Covered:
    """A run whose leaves lead from the log to its Head. `signed`: that Head, as it is kept."""

    signed: SignedHead
    leaves: tuple[bytes, ...]  # only what is new
    peaks: tuple[Hash, ...]
    made: list[Subtrees]
    head_checks: tuple[SignatureCheck, ...]  # none where they were made before


@dataclass(frozen=True, slots=True)
class Contradicted:
    """The Head over the entries doesn't continue this log: somebody lies, or it was forked."""

    head_checks: tuple[SignatureCheck, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be known of the log, beside its state, before a segment can be judged."""

    authors: tuple[AuthorId, ...]
    bases: tuple[int, ...]


def read_headers(segment: Segment, length: int) -> Headers:
    """Of the leaves from `length` on, without that of the genesis. Raises Malformed."""
    place = max(length, 1)
    return read_in_a_row(segment.leaves[place - segment.first :], segment.stream, place)


@dataclass(frozen=True, slots=True)
class Facts:
    """The answer to Needs: of authors that have written here, and of lengths that are here."""

    authors: Mapping[AuthorId, AuthorState]
    roots: Mapping[int, Hash]


NO_FACTS = Facts({}, {})


def needs(headers: Headers) -> Needs:
    return Needs(
        tuple(dict.fromkeys([header.author for header in headers.intents])),
        tuple(dict.fromkeys([header.base_length for header in headers.intents])),
    )


def begin(segment: Segment) -> Genesis:
    """Of a stream whose first entries these are. Raises Malformed."""
    genesis = read_genesis(segment.leaves[0])
    if segment.first != 0 or genesis.stream != segment.stream:
        raise Malformed("the first entry is not the genesis of this stream")
    return genesis


def cover(
    genesis: Genesis, before: LogState | None, segment: Segment, *, earlier: Sequence[Segment] = ()
) -> Covered | Contradicted:
    """What can be said of a run before its entries are read. The Heads of `earlier`, whose entries
    are in the segment, too, have to fit as well. Raises Malformed.
    """
    if genesis.uniqueness is Uniqueness.WATCHED:
        raise Malformed("the owners of a watched stream sign no Heads")
    if before is None and segment.leaves[0] != genesis.encoded:
        raise Malformed("the first entry is not the genesis of this stream")
    head = segment.signed_head.head
    head_checks = segment.signed_head.checks(before.owners if before else genesis.owners)
    if head_checks is None:
        raise Malformed("the Head isn't signed by exactly enough owners")
    length = before.length if before else 0
    leaves = segment.leaves[length - segment.first :]
    grown = _grow(before, leaf_hashes(leaves), [*earlier, segment])
    if grown is None:
        return Contradicted(head_checks)
    signed = segment.signed_head
    if before is not None and before.signed.head.identity == head.identity:
        # SPEC streams 5: other signatures or another timestamp of one identity are not kept.
        signed, head_checks = before.signed, ()
    return Covered(signed, leaves, *grown, head_checks)


def _grow(
    before: LogState | None, leaves: list[Hash], segments: Sequence[Segment]
) -> tuple[tuple[Hash, ...], list[Subtrees]] | None:
    """The log with these leaves; None if it isn't what each Head covers."""
    peaks, length = (before.peaks, before.length) if before else ((), 0)
    start, made = length, list[Subtrees]()
    for segment in segments:
        if segment.stop < length:
            continue  # about entries that were here already
        new = leaves[length - start : segment.stop - start]
        peaks, more = grow(peaks, length, new)
        made += more
        length, head = segment.stop, segment.signed_head.head
        if lead(peaks, length, segment.frontier, head.length) != head.root:
            return None
    return peaks, made


def continue_log(
    genesis: Genesis,
    before: LogState | None,
    segment: Segment,
    headers: Headers,
    facts: Facts = NO_FACTS,
    *,
    covered: Covered | None = None,
) -> Growth | Contradicted:
    """`headers`: by `read_headers`, from the length of the log on; `facts`: what they need;
    `covered`: by `cover`, if that was asked before.

    Raises Malformed where an entry breaks a rule.
    """
    found = covered or cover(genesis, before, segment)
    if isinstance(found, Contradicted):
        return found
    signed, leaves = found.signed, found.leaves
    contents = segment.contents[len(segment.contents) - len(leaves) :]
    _check_contents(headers, contents[len(contents) - len(headers) :])
    owners = before.owners if before else genesis.owners
    intents = Intents(dict(facts.authors), dict(facts.roots))
    intents.check(headers, owners.only, before, leaves)
    _check_kinds(headers, genesis.uniqueness)
    after, changes = _owners_after(owners, segment.stream, headers, contents, signed.head.length)
    stamp_ms = _stamp(headers, before.stamp_ms if before else 0)
    stamp_ms = 0 if changes else stamp_ms  # whoever comes now has a clock of its own
    state = LogState(segment.stop, found.peaks, signed, segment.frontier, after, stamp_ms)
    checks = found.head_checks, (*intents.checks, *changes)
    return Growth(state, leaves, contents, found.made, intents.authors, *checks)


def own_growth(
    genesis: Genesis, state: LogState | None, segment: Segment, heirs: Owners | None = None
) -> Growth:
    """Of what the only owner, who is us, has just made: nothing of it is checked. `heirs`: to whom
    it gives the stream.
    """
    peaks, length = (state.peaks, state.length) if state else ((), 0)
    peaks, made = grow(peaks, length, leaf_hashes(segment.leaves))
    signed = segment.signed_head
    owners, stamp_ms = (state.owners, signed.head.timestamp_ms) if state else (genesis.owners, 0)
    owners, stamp_ms = (heirs, 0) if heirs else (owners, stamp_ms)  # they have clocks of their own
    after = LogState(segment.stop, peaks, signed, segment.frontier, owners, stamp_ms)
    return Growth(after, segment.leaves, segment.contents, made, {}, (), ())


def genesis_of(growth: Growth) -> Genesis:
    """Of one that begins a log."""
    return read_genesis(growth.leaves[0])


def writes_of(stream: StreamId, growth: Growth, *, new: bool) -> list[Write]:
    """What is durable together. `new`: nothing of the stream was here."""
    state, writes = growth.state, list[Write]()
    if new:
        writes.append(put_genesis(genesis_of(growth)))
    if growth.leaves:
        signed = state.signed
        ends = not state.frontier
        ending = (signed.head.timestamp_ms, signed.signatures) if ends else None
        first, last = state.length - len(growth.leaves), state.length - ENTRIES_MAX
        for at in range(0, len(growth.leaves), ENTRIES_MAX):
            part = slice(at, at + ENTRIES_MAX)
            run = Run(first + at, growth.leaves[part], ending if first + at >= last else None)
            writes += put_run(stream, run, growth.contents[part])
    writes += put_nodes(stream, growth.made)
    writes += [put_author(stream, *author) for author in growth.authors.items()]
    writes.append(put_log(stream, state))
    return writes


def _check_kinds(headers: Headers, uniqueness: Uniqueness) -> None:
    reserved = _WATCHED_ONLY if uniqueness is Uniqueness.NONE else RESERVED_KINDS
    for kind in reserved.intersection(headers.kinds):
        place = headers.first + headers.kinds.index(kind)
        raise Malformed(f"entry {place}: {kind} is reserved for other streams")


def _check_contents(headers: Headers, contents: tuple[bytes | None, ...]) -> None:
    said = zip(headers.sizes, headers.hashes, contents, strict=True)
    for place, (size, named, content) in enumerate(said, headers.first):
        if content is None:
            continue
        if len(content) != size or sha256(content).digest() != named:
            raise Malformed(f"entry {place}: this is not its content")
        if size > CONTENT_BYTES_MAX:
            raise Malformed(f"entry {place}: a content of that size doesn't come with it")


def _stamp(headers: Headers, stamp_ms: int) -> int:
    """The timestamp of the only owner's last entry."""
    intents = {header.place for header in headers.intents}
    for place, each in enumerate(headers.stamps_ms, headers.first):
        if place not in intents:
            if each < stamp_ms:
                raise Malformed(f"entry {place}: its author's time runs backwards")
            stamp_ms = each
    return stamp_ms


@dataclass(slots=True)
class Intents:
    """Entries that their authors signed (SPEC streams 2)."""

    authors: dict[AuthorId, AuthorState]
    roots: dict[int, Hash]
    checks: tuple[SignatureCheck, ...] = ()

    def check(
        self,
        headers: Headers,
        only: AuthorId | None,
        before: LogState | None,
        leaves: tuple[bytes, ...],
    ) -> None:
        intents = headers.intents
        if headers.owners and only is None:
            raise Malformed("an entry of several owners has no signature of its author")
        if not headers.owners <= {only}:
            raise Malformed("an entry of somebody else has no signature of its author")
        if not intents:
            return
        self._learn_roots([header.base_length for header in intents], before, leaves)
        for header in intents:
            self.check_one(header, only)
        self.checks = tuple([check for header in intents if (check := header.check())])

    def check_one(self, header: Header, only: AuthorId | None) -> None:
        """As the next; its base is among the roots, or wrong. Raises Malformed."""
        place = header.place
        if header.author == only:
            raise Malformed(f"entry {place}: the only owner signs no entries of its own")
        if header.base_root != self.roots.get(header.base_length):
            raise Malformed(f"entry {place}: its author had seen another log")
        last = self.authors.get(header.author, AuthorState(0, 0))
        if header.author_seq <= last.author_seq:
            raise Malformed(f"entry {place}: its author's numbers don't ascend")
        if header.timestamp_ms < last.timestamp_ms:
            raise Malformed(f"entry {place}: its author's time runs backwards")
        self.authors[header.author] = AuthorState(header.author_seq, header.timestamp_ms)

    def _learn_roots(
        self, bases: list[int], before: LogState | None, leaves: tuple[bytes, ...]
    ) -> None:
        """Of bases inside of the run itself."""
        peaks: tuple[Hash, ...] = before.peaks if before else ()
        length = before.length if before else 0
        wanted = {base for base in bases if base > length}
        for leaf in leaves:
            if not wanted:
                return
            peaks, _ = grow(peaks, length, [leaf_hash(leaf)])
            length += 1
            if length in wanted:
                wanted.discard(length)
                self.roots[length] = bag(peaks)


def _owners_after(
    owners: Owners,
    stream: StreamId,
    headers: Headers,
    contents: tuple[bytes | None, ...],
    head_length: int,
) -> tuple[Owners, tuple[SignatureCheck, ...]]:
    """SPEC streams 7: a run does not go past a change of owners, and its Head ends there."""
    if OWNERS_SET not in headers.kinds:
        return owners, ()
    place, content = headers.first + headers.kinds.index(OWNERS_SET), contents[-1]
    if head_length != place + 1:  # so it is also the last entry, and the only change
        raise Malformed(f"entry {place}: the Head goes past a change of owners")
    if content is None:
        raise Malformed(f"entry {place}: a change of owners comes with its content")
    change = read_owners_set(content)
    if (change.stream, change.place) != (stream, place):
        raise Malformed(f"entry {place}: a change of owners for another place")
    signed = change.checks(owners)
    if signed is None:
        raise Malformed(f"entry {place}: not enough owners signed the change")
    return change.owners, signed
