"""Small logs, segment by segment, and what is refused on their way (spec/streams.md 8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.authoring import sign_head
from qbix_node.streams.genesis import Genesis, Uniqueness
from qbix_node.streams.messages import Head, Header, Segment, read_header
from qbix_node.streams.owners import AuthorId
from qbix_node.streams.succession import OWNERS_SET
from qbix_node.streams.tree import Hash
from qbix_node.wire.packing import pack
from tests.streams import long_hex
from tests.streams.branches import Branch, Edit, Signers, genesis_of, keys_of, owned_by, signing

ALICE, BOB, CAROL, DAVE = [keys_of(name) for name in ("alice", "bob", "carol", "dave")]
ONE = owned_by((ALICE, 1))
SEVERAL = owned_by((ALICE, 2), (BOB, 1), (CAROL, 1), threshold=3)
OTHER_HASH = Hash(bytes(32))
START = 1_700_000_000_000


def kind(name: str) -> Edit:
    return lambda header: header._replace(kind=name)


@dataclass
class Story:
    """What a log takes, and what it refuses in between."""

    what: str
    log: Branch
    taken: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    length: int = 0  # of what is taken

    @property
    def stream(self) -> bytes:
        return self.log.genesis.stream

    def take(self, signers: Signers, stop: int | None = None, length: int | None = None) -> None:
        segment = self.log.segment(signers, self.length, stop, length)
        self.length = segment.stop
        state = {"length": self.length, "root": self.log.root(self.length).hex()}
        peaks = [peak.hex() for peak in self.log.peaks(self.length)]
        self.taken.append({**state, "peaks": peaks, "encoded": segment.encoded})

    def branch(self) -> Branch:
        """That continues what is taken."""
        return self.log.branch(self.length)

    def refuse(self, rule: str, encoded: bytes | Segment | Sequence[Any]) -> None:
        if isinstance(encoded, Segment):
            encoded = encoded.encoded
        if not isinstance(encoded, bytes):
            encoded = pack(tuple(encoded))
        self.refused.append({"rule": rule, "after": len(self.taken), "encoded": encoded})

    def refuse_next(self, rule: str, signers: Signers, add: Callable[[Branch], object]) -> None:
        """What `add` puts after what is taken, under a Head right over it."""
        log = self.branch()
        add(log)
        self.refuse(rule, log.segment(signers, self.length))

    def vectors(self) -> dict[str, Any]:
        for each in (*self.taken, *self.refused):
            each["hex"] = long_hex.write(each.pop("encoded"))
        return {"what": self.what, "segments": self.taken, "refused": self.refused}


def row_of(segment: Segment) -> list[Any]:
    said = segment.stream, segment.first, segment.leaves, segment.contents
    return [1, *said, segment.signed_head.packable(), segment.frontier]


# ---- one owner ----


def one_owner() -> Story:
    story = Story("one owner", Branch(genesis_of(ONE)))
    log, alice = story.log, signing(ONE, ALICE)
    refuse_beginnings(story)
    story.take(alice)
    for number in range(1, 8):
        log.own(ALICE, START + number, b"entry %d" % number)
    refuse_forms(story)
    refuse_heads(story)
    story.take(alice, stop=4, length=4)
    story.take(alice, stop=5, length=8)
    refuse_trees(story)
    story.take(alice, stop=8, length=8)
    refuse_contents(story)
    refuse_entries(story)
    large = sha256(b"of a node").digest()
    log.own(ALICE, START + 7, b"", lambda each: large_one(each, large))
    log.own(ALICE, START + 8, bytes(64 * 1024)).own(ALICE, START + 8, b"dropped")
    log.contents[8] = log.contents[10] = None
    story.take(alice)
    log.intent(BOB, 5, START, b"a stranger's")
    log.own(ALICE, START + 9)
    log.intent(CAROL, 2, 0, b"hers").intent(BOB, 6, START, b"that had seen hers")
    log.intent(BOB, 2**53 - 1, START + 1, b"late", lambda each: since(log, each, 1))
    story.take(alice, stop=13)
    story.take(alice)
    refuse_intents(story)
    log.own(ALICE, START + 9, b"the last")
    story.take(alice)
    return story


def large_one(header: Header, named: bytes) -> Header:
    return header._replace(content_size=6 * 1024 * 1024, content_hash=named)


def since(log: Branch, header: Header, base: int) -> Header:
    return header._replace(base_length=base, base_root=log.root(base))


def refuse_beginnings(story: Story) -> None:
    log, alice = story.log, signing(ONE, ALICE)
    first = log.segment(alice)
    story.refuse("the genesis is its own content", replace(first, contents=(log.genesis.encoded,)))
    other = Branch(genesis_of(ONE, Uniqueness.NONE))
    head = sign_head(Head(log.genesis.stream, 1, other.root(), 0), *alice)
    rogue = replace(first, leaves=(other.genesis.encoded,), signed_head=head)
    story.refuse("leaf 0 hashes to the stream", rogue)
    story.refuse("leaf 0 is a genesis", header_first(log, alice))
    story.refuse("the owners sign", log.segment(((0, BOB),)))
    watched = Branch(genesis_of(ONE, Uniqueness.WATCHED, network=bytes(32)))
    story.refuse("watched streams have no owner-signed Heads", watched.segment(alice))


def header_first(log: Branch, alice: Signers) -> Segment:
    other = Branch(log.genesis).own(ALICE)
    leaf = other.leaves[1]
    return Branch(log.genesis, [leaf], [None]).segment(alice)


def refuse_forms(story: Story) -> None:
    """Of a segment of entry 1."""
    log, alice = story.log, signing(ONE, ALICE)
    right = row_of(log.segment(alice, 1, 2, 2))
    encoded = pack(right)

    def refuse(rule: str, place: int, value: object) -> None:
        story.refuse(rule, [*right[:place], value, *right[place + 1 :]])

    refuse("the version is 1", 0, 2)
    story.refuse("there are seven fields", right[:-1])
    story.refuse("there are seven fields, not eight", [*right, None])
    story.refuse("nothing follows", encoded + b"\0")
    story.refuse("an array has its shortest form", b"\xdc\0\7" + encoded[1:])
    refuse("the stream has 32 bytes", 1, story.stream[:31])
    other = genesis_of(ONE, Uniqueness.NONE).stream
    refuse("the stream is that of the Head", 1, other)
    refuse("first is a number", 2, None)
    refuse("first is not below 0", 2, -1)
    refuse("entries are an array", 3, None)
    refuse("entries are bytes", 3, ["text"])
    refuse("contents are an array", 4, None)
    refuse("contents has an item for each entry: one is missing", 4, [])
    refuse("contents has an item for each entry: one too many", 4, [*right[4], None])
    refuse("contents are bytes or nil", 4, ["entry 1"])
    refuse("the Head is there", 5, None)
    refuse("the frontier is an array", 6, None)
    refuse("the frontier has hashes", 6, [bytes(31)])
    empty = log.segment(alice, 1, 1, 1)
    story.refuse("there is an entry", replace(empty, first=1, leaves=(), contents=()))
    many = story.branch()
    while many.length < 258:
        many.own(ALICE, edit=kind("a"))
    story.refuse("there are at most 256 entries", many.segment(alice, 1))
    story.refuse("the Head covers all entries", short_head(log, alice))

    def large(log: Branch) -> None:
        for _ in range(17):
            log.own(ALICE, content=bytes(64 * 1024 - 200))

    story.refuse_next("a segment has at most 1 MiB", alice, large)


def short_head(log: Branch, alice: Signers) -> Segment:
    return replace(log.segment(alice, 1, 3, 3), signed_head=log.head(alice, 2))


def refuse_heads(story: Story) -> None:
    log, alice = story.log, signing(ONE, ALICE)
    right = log.segment(alice, 1, 2, 2)
    by_bob = replace(right, signed_head=log.head(((0, BOB),), 2))
    story.refuse("the owner signs the Head", by_bob)
    missing = right.signed_head._replace(signatures=())
    story.refuse("somebody signs the Head", replace(right, signed_head=missing))
    later = right.signed_head._replace(head=right.signed_head.head._replace(timestamp_ms=1))
    story.refuse("the signature covers the timestamp", replace(right, signed_head=later))


def refuse_trees(story: Story) -> None:
    """With a frontier: entry 5 under the Head over 8."""
    log, alice = story.log, signing(ONE, ALICE)
    right = log.segment(alice, 5, 6, 8)
    assert len(right.frontier) == 1
    for rule, frontier in [
        ("a hash of the frontier is missing", ()),
        ("the frontier has a hash too many", (*right.frontier, OTHER_HASH)),
        ("a hash of the frontier is another", (OTHER_HASH,)),
    ]:
        story.refuse(rule, replace(right, frontier=frontier))
    other = log.branch(5).own(ALICE, START + 6, b"another branch")
    rogue = replace(right, leaves=(other.leaves[5],), contents=(other.contents[5],))
    story.refuse("the entries lead to the root of the Head", rogue)
    before = (
        log.branch(4).own(ALICE, START + 5, b"of another branch").own(ALICE, START + 6, b"its next")
    )
    story.refuse("the Head continues the log", before.segment(alice, 5))


def refuse_contents(story: Story) -> None:
    alice = signing(ONE, ALICE)

    def refuse(rule: str, content: bytes, given: bytes, edit: Edit = lambda each: each) -> None:
        log = story.branch().own(ALICE, START + 8, content, edit)
        log.contents[-1] = given
        story.refuse(rule, log.segment(alice, story.length))

    refuse("a content has its hash", b"content", b"Content")
    size: Edit = lambda each: each._replace(content_size=8)  # noqa: E731
    refuse("a content has its size", b"content", b"content", size)
    large = bytes(64 * 1024 + 1)
    refuse("contents above 64 KiB travel otherwise", large, large)


def refuse_entries(story: Story) -> None:
    """Of a log with one owner, whose last entry is of START + 7."""
    alice = signing(ONE, ALICE)

    def refuse(rule: str, edit: Edit, stamp: int = START + 8) -> None:
        story.refuse_next(rule, alice, lambda log: log.own(ALICE, stamp, b"", edit))

    refuse("an entry stands in its place", lambda each: moved(each, 1))
    refuse("an entry stands in its place, not before", lambda each: moved(each, -1))
    other = genesis_of(ONE, Uniqueness.NONE).stream
    refuse("an entry is of the stream", lambda each: each._replace(stream=other))
    refuse(
        "what nobody signed is of the owner",
        lambda each: each._replace(author=AuthorId(BOB.public)),
    )
    refuse("the owner's time doesn't run backwards", kind("post"), START + 6)
    refuse("author_seq is the index", lambda each: each._replace(author_seq=1))
    for name in ("void", "reanchor"):
        refuse(f"{name} is for watched streams", kind(name))
    content = story.log.change(ONE, alice, story.length).encoded
    story.refuse_next(
        "the owners of a gossip stream never change",
        alice,
        lambda log: log.own(ALICE, START + 8, content, kind(OWNERS_SET)),
    )

    def backwards(log: Branch) -> None:
        log.own(ALICE, START + 9).own(ALICE, START + 8)

    story.refuse_next("the owner's time doesn't run backwards in a segment", alice, backwards)


def moved(header: Header, by: int) -> Header:
    place = header.place + by
    return header._replace(place=place, author_seq=place, base_length=place)


def refuse_intents(story: Story) -> None:
    """Bob's last has the highest author_seq there is; carol's the number 2."""
    alice = signing(ONE, ALICE)

    def refuse(
        rule: str, who: KeyPair, seq: int, stamp: int, edit: Edit = lambda each: each
    ) -> None:
        story.refuse_next(rule, alice, lambda log: log.intent(who, seq, stamp, b"", edit))

    refuse("the only owner signs no intents", ALICE, 99, START + 9)
    refuse("author_seq ascends: a repeat", CAROL, 2, START)
    refuse("author_seq ascends: a step back", CAROL, 1, START)
    refuse("author_seq ascends: after the greatest", BOB, 2**53 - 1, START + 2)
    refuse(
        "base_root is that of base_length",
        CAROL,
        3,
        START,
        lambda each: each._replace(base_length=7),
    )
    refuse(
        "base_root is that of the log",
        CAROL,
        3,
        START,
        lambda each: each._replace(base_root=OTHER_HASH),
    )
    refuse("void is for watched streams", CAROL, 3, START, kind("void"))

    def twice(log: Branch) -> None:
        log.intent(DAVE, 1).intent(DAVE, 1)

    def backwards(log: Branch) -> None:
        log.intent(DAVE, 1, START).intent(DAVE, 2, START - 1)

    def same(log: Branch) -> None:
        log.intent(DAVE, 1)
        again = read_header(log.leaves[-1])
        log.put(again._replace(place=log.length).encoded, b"")

    def forged(log: Branch) -> None:
        log.intent(CAROL, 3, START, b"", lambda each: each._replace(author=AuthorId(DAVE.public)))

    story.refuse_next("author_seq ascends in a segment", alice, twice)
    story.refuse_next("nobody puts an intent in twice", alice, same)
    story.refuse_next("an author's time doesn't run backwards", alice, backwards)
    story.refuse_next("an intent is signed by its author", alice, forged)


# ---- several owners ----


def several_owners() -> Story:
    genesis = genesis_of(SEVERAL, Uniqueness.GOSSIP, ("sequencer", ALICE.public))
    story = Story("several owners", Branch(genesis))
    log, two, others = story.log, signing(SEVERAL, ALICE, BOB), signing(SEVERAL, ALICE, CAROL)
    story.refuse("enough owners sign", log.segment(signing(SEVERAL, ALICE)))
    story.take(two)
    log.intent(ALICE, 1, START, b"the sequencer's").intent(BOB, 1, START - 5, b"an owner's")
    log.intent(DAVE, 9, START, b"anybody's")
    everybody = signing(SEVERAL, ALICE, BOB, CAROL)
    story.refuse("exactly enough owners sign", log.segment(everybody, 1))
    story.refuse("enough weight signs", log.segment(signing(SEVERAL, BOB, CAROL), 1))
    exchanged = [(two[0][0], two[1][1]), (two[1][0], two[0][1])]
    story.refuse("each signature is of the owner it names", log.segment(exchanged, 1))
    story.take(others)
    story.refuse_next("each author signs", two, lambda log: log.own(ALICE, START + 1))
    story.refuse_next(
        "author_seq ascends, of owners too", two, lambda log: log.intent(ALICE, 1, START)
    )
    story.refuse_next(
        "an owner's time doesn't run backwards", two, lambda log: log.intent(ALICE, 2, START - 1)
    )
    log.intent(BOB, 2, START, b"had seen little", lambda each: since(log, each, 2))
    story.take(two)
    return story


# ---- owners that change ----


def changing_owners() -> Story:
    story = Story("owners that change", Branch(genesis_of(ONE, Uniqueness.NONE)))
    log, alice = story.log, signing(ONE, ALICE)
    pair, bobs = owned_by((ALICE, 1), (BOB, 1), threshold=2), owned_by((BOB, 7), threshold=7)
    both, bob = signing(pair, ALICE, BOB), signing(bobs, BOB)
    story.take(alice)
    log.own(ALICE, START, b"before")
    story.take(alice)
    refuse_changes(story)
    log.own(ALICE, START, log.change(pair, alice).encoded, kind(OWNERS_SET))
    story.refuse("a change of owners comes with its content", without_content(log, alice))
    story.refuse("the owners before sign the Head over a change", log.segment(both, 2))
    story.take(alice)
    log.intent(BOB, 1, START, b"now of both")
    story.refuse("the owners after a change sign what follows", log.segment(alice, 3))
    story.take(both)
    half = log.change(bobs, both[:1]).encoded
    change = log.change(bobs, both).encoded
    story.refuse_next(
        "enough owners sign a change",
        both,
        lambda log: log.intent(BOB, 2, START, half, kind(OWNERS_SET)),
    )
    log.intent(BOB, 2, START, change, kind(OWNERS_SET))
    story.take(both)
    story.refuse_next("who was an owner signs entries", bob, lambda log: log.own(ALICE, START))
    story.refuse_next("the only owner signs no intents", bob, lambda log: log.intent(BOB, 3, START))
    log.own(BOB, 5, b"by another clock")
    log.intent(ALICE, 1, 3, b"a stranger's now")
    story.take(bob)
    back = log.change(ONE, bob).encoded
    log.own(BOB, 6, back, kind(OWNERS_SET))
    story.take(bob)
    log.own(ALICE, 2, b"again the owner")
    story.take(alice)
    return story


def refuse_changes(story: Story) -> None:
    """After two entries of the only owner."""
    alice, bobs = signing(ONE, ALICE), owned_by((BOB, 1))
    bob = signing(bobs, BOB)

    def refuse(rule: str, content: bytes, signers: Signers = alice) -> None:
        story.refuse_next(
            rule, signers, lambda log: log.own(ALICE, START, content, kind(OWNERS_SET))
        )

    right = story.log.change(bobs, alice)
    refuse("the owners before sign a change", story.log.change(bobs, bob).encoded)
    refuse("a change names its place", story.log.change(bobs, alice, story.length + 1).encoded)
    other = Branch(genesis_of(ONE, Uniqueness.NONE, ("a", b"")))
    refuse("a change names its stream", other.change(bobs, alice, story.length).encoded)
    refuse("a change has a content of its form", b"")

    def followed(log: Branch) -> None:
        log.own(ALICE, START, right.encoded, kind(OWNERS_SET)).own(BOB)

    story.refuse_next("a change is the last entry of a segment", alice, followed)
    story.refuse_next("a change is the last entry, whoever signs", bob, followed)
    log = story.branch()
    followed(log)
    stop = story.length + 1
    past = log.segment(alice, story.length, stop)
    story.refuse("the Head over a change ends with it", past)
    for name in ("void", "reanchor"):
        story.refuse_next(
            f"{name} is for watched streams",
            alice,
            lambda log, name=name: log.own(ALICE, START, b"", kind(name)),  # type: ignore[misc]
        )


def without_content(log: Branch, alice: Signers) -> Segment:
    segment = log.segment(alice, 2)
    return replace(segment, contents=(None,))


def make() -> list[dict[str, Any]]:
    stories = [one_owner(), several_owners(), changing_owners(), weighty_owner()]
    return [story.vectors() for story in stories]


def weighty_owner() -> Story:
    """Two may sign, and each is enough."""
    either = owned_by((ALICE, 1), (BOB, 1))
    genesis: Genesis = genesis_of(either, Uniqueness.NONE)
    story = Story("either of two owners", Branch(genesis))
    log, alice, bob = story.log, signing(either, ALICE), signing(either, BOB)
    story.take(alice)
    log.intent(BOB, 1, START, b"by one").intent(ALICE, 1, START, b"by the other")
    story.refuse("one signature is exactly enough", log.segment(signing(either, ALICE, BOB), 1))
    story.take(bob)
    return story
