"""Networks, streams and votes for tests: everything follows from small numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from qbix_node.certificates.certificates import Ac, BareFc, Commits, PaidFc, Quorum
from qbix_node.certificates.committees import (
    PILOT,
    Committee,
    CommunityId,
    Electorate,
    Member,
    NodeId,
    Profile,
    Seed,
)
from qbix_node.certificates.epochs import Epoch
from qbix_node.certificates.slots import Base, Slot, Value
from qbix_node.certificates.transactions import (
    Accept,
    Change,
    Core,
    OwnerSignature,
    SignedTx,
    Tx,
    accept_body,
    commitment_to,
)
from qbix_node.certificates.votes import Ballot, commit_body, confirm_body, lock_body
from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import KeyPair
from qbix_node.streams.owners import AuthorId, Owners
from qbix_node.streams.tree import Hash, bag, grow, leaf_hash
from qbix_node.wire.references import StreamId

NETWORK = sha256(b"network")


def key(name: str) -> KeyPair:
    return KeyPair.from_seed(sha256(b"key of " + name.encode()))


def electorate(nodes: int, communities: int, epoch: int = 0) -> Electorate:
    """Nodes that are dealt out to the communities in turn."""
    members = [
        Member(
            NodeId(sha256(b"node %d" % number)),
            CommunityId(sha256(b"community %d" % (number % communities))),
            key(f"vote {number} {epoch}").public,
            sha256(b"endpoints %d" % number),
        )
        for number in range(nodes)
    ]
    ordered = sorted(members, key=lambda member: member.node)
    return Electorate(Seed(sha256(b"seed %d" % epoch)), tuple(ordered))


@dataclass(frozen=True)
class Hall:
    """One epoch with all of its secrets."""

    nodes: int = 4
    communities: int = 4
    number: int = 0
    profile: Profile = PILOT

    @cached_property
    def epoch(self) -> Epoch:
        members = electorate(self.nodes, self.communities, self.number)
        return Epoch(NETWORK, self.number, members, self.profile)

    @cached_property
    def _secrets(self) -> dict[bytes, KeyPair]:
        pairs = [key(f"vote {number} {self.number}") for number in range(self.nodes)]
        return {pair.public: pair for pair in pairs}

    def quorum(
        self, committee: Committee, body: bytes, seats: Sequence[int] | None = None
    ) -> Quorum:
        chosen = range(committee.quorum) if seats is None else seats
        signed = [self._secrets[committee.seats[seat].vote_key].sign(body) for seat in chosen]
        return Quorum(committee.bitmap(chosen), tuple(signed))

    def ac(
        self, slot: Slot, base: Base, value: Value, *, view: int = 0, seats: Sequence[int] = ()
    ) -> Ac:
        newview = sha256(b"newview %d" % view) if view else None
        ballot = Ballot(slot, base.digest, self.number, view)
        body = lock_body(ballot, value, newview)
        committee = self.epoch.anchors(slot.stream)
        return Ac(ballot, value, newview, self.quorum(committee, body, seats or None))

    def commits(self, slot: Slot, base: Base, value: Value, view: int = 0) -> Commits:
        body = commit_body(Ballot(slot, base.digest, self.number, view), value)
        quorum = self.quorum(self.epoch.anchors(slot.stream), body)
        return Commits(slot, base, view, value, quorum)

    def bare_fc(self, slot: Slot, base: Base, value: Value, view: int = 0) -> BareFc:
        return BareFc(self.commits(slot, base, value, view))

    def fc(self, signed: SignedTx, bases: Sequence[Base], view: int = 0) -> PaidFc:
        value, slots = signed.tx.value, signed.tx.core.slots
        commits = [
            self.commits(slot, base, value, view) for slot, base in zip(slots, bases, strict=True)
        ]
        watchers = self.epoch.watchers(signed.tx)
        bodies = [
            confirm_body(slot, self.number, view, signed.tx.hash, self.number) for slot in slots
        ]
        quorums = tuple([self.quorum(watchers, body) for body in bodies])
        return PaidFc(signed, tuple(commits), self.number, quorums)


@dataclass(frozen=True)
class Account:
    """A watched stream of one owner, known by its first leaves."""

    name: str
    length: int = 1

    @property
    def keys(self) -> KeyPair:
        return key(self.name)

    @property
    def owners(self) -> Owners:
        return Owners(((AuthorId(self.keys.public), 1),), 1)

    @property
    def stream(self) -> StreamId:
        return StreamId(sha256(b"stream of " + self.name.encode()))

    def base(self, pin: int = 0) -> Base:
        leaves = [leaf_hash(b"%s %d" % (self.name.encode(), at)) for at in range(self.length)]
        return Base(grow((), 0, leaves)[0], sha256(b"state"), self.owners.hash, pin)

    @property
    def slot(self) -> Slot:
        return Slot(NETWORK, self.stream, self.length)

    def change(self, leaves: Sequence[bytes], pin: int = 0) -> Change:
        base, hashes = self.base(pin), tuple([leaf_hash(leaf) for leaf in leaves])
        root: Hash = bag(grow(base.peaks, self.length, hashes)[0])
        state = sha256(b"state after")
        place = self.stream, self.length, base.peaks, hashes, root
        return Change(*place, pin, pin, state, self.owners.hash)


def core(*changes: Change, parties: Sequence[str] = (), epoch: int = 0) -> Core:
    keys = tuple(sorted([key(name).public for name in parties]))
    ordered = tuple(sorted(changes, key=lambda change: change.stream))
    return Core(NETWORK, "transfer", ordered, keys, epoch, epoch + 8, None)


def accepted(wanted: Core, parties: Sequence[str] = (), nonce: bytes = sha256(b"nonce")) -> Tx:
    """With an answer of each party for every slot."""
    found = []
    for change in wanted.changes:
        for name in parties:
            theirs = sha256(b"nonce of " + name.encode())
            place = key(name).public, change.stream, change.base_length, theirs
            body = accept_body(wanted.hash, commitment_to(nonce), Accept(*place, b""))
            found.append(Accept(*place, key(name).sign(body)))
    found.sort(key=lambda each: each.party + each.stream)
    return Tx(wanted, tuple(found), nonce)


def signed(tx: Tx, *accounts: Account) -> SignedTx:
    body = SignedTx(tx, ()).body
    places = {account.stream: account for account in accounts}
    return SignedTx(
        tx,
        tuple(
            [
                OwnerSignature(place, 0, places[change.stream].keys.sign(body))
                for place, change in enumerate(tx.core.changes)
            ]
        ),
    )


def transfer(account: Account, what: bytes = b"pay", parties: Sequence[str] = ("bob",)) -> SignedTx:
    tx = accepted(core(account.change([what]), parties=parties), parties)
    return signed(tx, account)
