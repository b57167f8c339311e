"""Two Heads of one stream that were shown, compared without a log (spec/gossip.md 5)."""

from dataclasses import dataclass

from qbix_node.streams.forks import HeadFork, ShownHead, equal_fork, unequal_fork
from qbix_node.streams.genesis import Genesis
from qbix_node.streams.messages import SignedHead
from qbix_node.streams.records import LogState
from qbix_node.streams.tree import Hash, Prefix, known_prefixes


@dataclass(frozen=True, slots=True)
class Shown:
    """A Head and what is known of the first leaves under it."""

    shown: ShownHead
    prefix: Prefix
    more: tuple[Prefix, ...] = ()

    def known(self) -> dict[int, Prefix]:
        """By their lengths; that of the Head, too."""
        total, found = self.shown.head.length, dict[int, Prefix]()
        for prefix in (*self.more, self.prefix):
            found.update({each.length: each for each in known_prefixes(prefix, total)})
        return {**found, total: found.get(total, Prefix(total, (), ()))}

    def roots(self) -> dict[int, Hash]:
        root = self.shown.head.root
        return {length: prefix.root(root) for length, prefix in self.known().items()}

    def continues(self, other: "Shown") -> bool:
        """Whether that was seen."""
        head = other.shown.head
        return self.roots().get(head.length) == head.root


def of_state(state: LogState) -> Shown:
    return Shown(ShownHead(state.signed), state.prefix)


def as_state(genesis: Genesis, signed: SignedHead, prefix: Prefix) -> LogState:
    """As if so much of the log were here."""
    length, peaks, frontier = prefix
    return LogState(length, peaks, signed, frontier, genesis.owners)


def difference(genesis: Genesis, one: Shown, other: Shown) -> HeadFork | None:
    """Where both are known and not the same; at the smallest such length."""
    heads = one.shown.head, other.shown.head
    if heads[0].identity == heads[1].identity:
        return None
    if heads[0].length == heads[1].length:
        return equal_fork(genesis, one.shown, other.shown)
    known, known_other = one.known(), other.known()
    for length in sorted(known.keys() & known_other.keys()):
        mine, theirs = known[length], known_other[length]
        if mine.root(heads[0].root) != theirs.root(heads[1].root):
            return unequal_fork(genesis, one.shown, mine, other.shown, theirs)
    return None
