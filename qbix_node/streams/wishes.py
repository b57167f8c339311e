"""What the node wants to write, and why it can never be part of a stream
(spec/streams.md 1, 2, 7).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from qbix_node import machines as m
from qbix_node.crypto.keys import KeyPair
from qbix_node.errors import Malformed
from qbix_node.streams import messages as s
from qbix_node.streams.authoring import make_segment
from qbix_node.streams.genesis import Genesis, Uniqueness, read_genesis
from qbix_node.streams.growth import RESERVED_KINDS
from qbix_node.streams.owners import Owners
from qbix_node.streams.records import LogState
from qbix_node.streams.succession import OWNERS_SET, OwnersSet
from qbix_node.wire.fields import NUMBER_MAX, is_name

BATCH_BYTES_MAX = 512 * 1024  # of contents that the node puts under one Head
ENTRY_BYTES = 1024  # what an entry adds to its content at most, generously

Writing = s.Append | s.SetOwners


def why_never(wish: s.Create | Writing, genesis: Genesis | None = None) -> str | None:
    """Why nobody would take this: of what the owner says, not of how things are."""
    if not 0 <= wish.stamp_ms <= NUMBER_MAX:
        return "entries can't have that time"
    if isinstance(wish, s.SetOwners):
        fixed = genesis is None or genesis.uniqueness is not Uniqueness.NONE
        return "the owners of that stream never change" if fixed else None
    if isinstance(wish, s.Create):
        return _why_no_stream(wish.genesis)
    if not 1 <= len(wish.entries) <= s.ENTRIES_MAX:
        return f"1 to {s.ENTRIES_MAX} entries are appended at once"
    if reason := _why_no_entries(wish.entries):
        return reason
    if bytes_of(wish) > BATCH_BYTES_MAX:
        return f"together they have more than {BATCH_BYTES_MAX} bytes"
    return None


def _why_no_stream(genesis: Genesis) -> str | None:
    try:
        read_genesis(genesis.encoded)
    except Malformed as error:
        return str(error)
    if genesis.uniqueness is Uniqueness.WATCHED:
        return "the owners of a watched stream sign no Heads"
    return None


def refused(
    wish: s.Create | Writing, reason: str, *, bad_content: bool = False, for_now: bool = False
) -> m.Emit:
    return m.Emit(s.AppendRefused(wish.request, reason, bad_content, for_now))


def _why_no_entries(entries: tuple[s.NewEntry, ...]) -> str | None:
    for entry in entries:
        if len(entry.beside or b"") > s.CONTENT_BYTES_MAX:
            return f"a content has at most {s.CONTENT_BYTES_MAX} bytes here; larger are blobs"
        if entry.beside is None and not s.CONTENT_BYTES_MAX < entry.named[0] <= NUMBER_MAX:
            return "a content of that size is no blob"
        if not is_name(entry.kind):
            return (
                "a kind has 1 to 64 characters a-z, 0-9, '.', '_', '-', of which the first is a-z"
            )
        if entry.kind in RESERVED_KINDS:
            return f"entries of kind {entry.kind} are not appended so: it is reserved"
    return None


def draw_beside(first: Writing, wishes: deque[s.Create | Writing]) -> list[Writing]:
    """Those that go under one Head with the first one."""
    if isinstance(first, s.SetOwners):
        return []  # SPEC streams 7: a Head ends there
    drawn, size, count = list[Writing](), bytes_of(first), len(first.entries)
    while wishes and isinstance(wish := wishes[0], s.Append):
        size, count = size + bytes_of(wish), count + len(wish.entries)
        if size > BATCH_BYTES_MAX or count > s.ENTRIES_MAX:
            break
        drawn.append(wish)
        wishes.popleft()
    return drawn


def make_run(state: LogState, keys: KeyPair, wishes: Sequence[Writing]) -> s.Segment:
    """What these say, after the log."""
    entries = list[s.NewEntry]()
    for wish in wishes:
        if isinstance(wish, s.SetOwners):
            change = OwnersSet(wish.stream, state.length, wish.owners, ())
            signed = replace(change, signatures=((0, keys.sign(change.body)),))
            entries.append(s.NewEntry(OWNERS_SET, signed.encoded))
        else:
            entries += wish.entries
    return make_segment(state, keys, entries, max([wish.stamp_ms for wish in wishes]))


def heirs_of(wish: Writing) -> Owners | None:
    """To whom it gives the stream."""
    return wish.owners if isinstance(wish, s.SetOwners) else None


def bytes_of(wish: s.Append) -> int:
    return sum([len(entry.beside or b"") + ENTRY_BYTES for entry in wish.entries])
