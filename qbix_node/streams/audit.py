"""Check a log from its first leaf on, with nothing but what is shown (spec/streams.md 8, 9).

The same rules as those of a StreamBook, without a store: 64 bytes are kept for each entry.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.streams.forks import HeadFork, ResolveFork, StreamFork, check_fork, check_resolve
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.growth import Contradicted, Facts, begin, continue_log, needs, read_headers
from qbix_node.streams.messages import Segment, SignedHead, SignedResolve
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.records import AuthorState, LogState
from qbix_node.streams.tree import Hash, Subtrees, bag, cut_of, leaf_hash, peaks_of

VerifyOne = Callable[[bytes, bytes, bytes], bool]


@dataclass(slots=True)
class LevelNodes:
    """The tree over a log in memory; implements tree.Nodes."""

    _levels: list[bytearray] = field(default_factory=list)

    def add(self, leaves: Sequence[Hash], made: Sequence[Subtrees]) -> None:
        """Leaves after those that are there, and the subtrees that came to be with them."""
        self._put(0, leaves)
        for level, _, roots in made:
            self._put(level, roots)

    def node(self, level: int, index: int) -> Hash:
        return Hash(bytes(self._levels[level][32 * index : 32 * index + 32]))

    def cut(self, level: int, index: int, total: int) -> Hash:
        return cut_of(self, level, index, total)

    def _put(self, level: int, roots: Sequence[Hash]) -> None:
        if level == len(self._levels):
            self._levels.append(bytearray())
        self._levels[level] += b"".join(roots)


@dataclass(slots=True)
class Audit:
    """One log, as far as it was shown and found good."""

    verify_one: VerifyOne = verify
    genesis: Genesis | None = None
    state: LogState | None = None
    contents_missing: int = 0
    signatures: int = 0  # of Heads, intents and changes of owners, that were checked
    forks: int = 0  # that were proven
    resolve: SignedResolve | None = None  # that chose the branch which this log is
    closed: bool = False  # its owners forked it again
    nodes: LevelNodes = field(default_factory=LevelNodes)
    _authors: dict[AuthorId, AuthorState] = field(default_factory=dict)
    _heads: set[SignedHead] = field(default_factory=set)  # the last one only

    @property
    def length(self) -> int:
        return self.state.length if self.state else 0

    def take(self, segment: Segment) -> None:
        """The segment that starts where the log ends. Raises Malformed with the reason."""
        if segment.first != self.length:
            raise Malformed(f"expected the entries from {self.length} on, not {segment.first}")
        genesis = self.genesis or begin(segment)
        headers = read_headers(segment, self.length)
        verdict = continue_log(genesis, self.state, segment, headers, self._facts(segment))
        known = segment.signed_head in self._heads
        if not known:
            self._check(verdict.head_checks)
        if isinstance(verdict, Contradicted):
            raise Malformed("these entries don't lead to the Head over them")
        self._check(verdict.checks)
        self.genesis, self.state = genesis, verdict.state
        self._heads = {segment.signed_head}
        self._authors.update(verdict.authors)
        self.nodes.add([leaf_hash(leaf) for leaf in verdict.leaves], verdict.made)
        missing = segment.contents[len(segment.contents) - len(headers) :].count(None)
        self.contents_missing += missing

    def take_further(self, content: SignedResolve | StreamFork) -> None:
        """What an export has after the segments. Raises Malformed where it proves nothing."""
        assert self.genesis is not None
        if isinstance(content, SignedResolve):
            check_resolve(self.genesis, content, self.verify_one)
            chosen = content.resolve
            if self.length < chosen.fork_length or (
                self.root_at(chosen.fork_length) != chosen.chosen_root
            ):
                raise Malformed("its owners chose another branch than that of these entries")
            self.resolve = content
            return
        check_fork(content, self.verify_one)
        self.forks += 1
        self.closed = self.closed or isinstance(content, ResolveFork) or self._counts(content)

    def _counts(self, fork: HeadFork) -> bool:
        chosen, resolved = self.resolve, fork.resolved
        return bool(chosen and resolved and chosen.resolve == resolved.signed.resolve)

    def _facts(self, segment: Segment) -> Facts:
        bases = needs(read_headers(segment, self.length)).bases
        roots = {base: self.root_at(base) for base in bases if base <= self.length}
        return Facts(self._authors, roots)

    def root_at(self, length: int) -> Hash:
        return bag(peaks_of(self.nodes, length))

    def _check(self, checks: Sequence[SignatureCheck]) -> None:
        for check in checks:
            if not self.verify_one(check.key, check.body, check.signature):
                raise Malformed("a signature does not match")
            self.signatures += 1
