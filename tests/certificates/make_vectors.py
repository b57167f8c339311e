"""Write spec/vectors/watchers-certificates.json anew: `python -m tests.certificates.make_vectors`.

All of it follows from fixed seeds, and what is invalid breaks the one rule that it names.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qbix_node.certificates.certificates import Ac, BareFc, Fc, PaidFc, Quorum
from qbix_node.certificates.committees import PILOT, STANDARD, VAULT, Profile, Share
from qbix_node.certificates.slots import (
    Empty,
    Founding,
    Manifested,
    Reanchor,
    Slot,
    Transfer,
    Value,
    Void,
    authorless_leaf,
)
from qbix_node.certificates.transactions import SignedTx, commitment_to
from qbix_node.crypto.boxes import sha256
from qbix_node.wire.packing import pack, unpack
from tests.certificates.hall import (
    NETWORK,
    Account,
    Hall,
    accepted,
    core,
    electorate,
    signed,
    transfer,
)
from tests.streams import long_hex
from tests.streams.make_vectors import FOLDER, text_of
from tests.streams.vectors_of_bytes import changed

NAME = "watchers-certificates.json"
NOTE = (
    "Member i of `nodes` in epoch e: node SHA-256('node i'), community SHA-256('community c') with "
    "c = i mod `communities`, vote_key the Ed25519 key with the seed SHA-256('key of vote i e'), "
    "endpoints_hash SHA-256('endpoints i'). Seed of epoch e: SHA-256('seed e'). The owner of a "
    "stream, and a party, has the key with the seed SHA-256('key of NAME')."
)

ALICE, CAROL = Account("alice", 5), Account("carol", 8)
SMALL, LARGE = Hall(4), Hall(60, 60, number=3, profile=STANDARD)
HALLS = {"small": SMALL, "large": LARGE}
FIRST = Slot(NETWORK, ALICE.stream, 0)
NOTHING_YET = replace(Account("alice", 0).base(), state_root=None)
MANIFEST = b"not read here"

Named = list[tuple[str, Any]]


# ---- committees ----


def committees() -> list[dict[str, Any]]:
    return [
        _committee("nobody has a seat too few", 4, 4, PILOT.anchors),
        _committee("as many as there are seats", 16, 3, PILOT.anchors),
        _committee("one more than there are seats", 17, 3, PILOT.anchors),
        _committee("everybody alone", 60, 60, STANDARD.anchors),
        _committee("three communities", 120, 3, STANDARD.watchers),
        _committee("communities that are too small for their seats", 41, 39, STANDARD.anchors),
        _committee(
            "few communities, seats by their nodes", 50, 7, PILOT.anchors, proportional=True
        ),
        _committee("one community", 120, 1, VAULT.anchors),
    ]


def _committee(
    what: str, nodes: int, communities: int, share: Share, *, proportional: bool = False
) -> dict[str, Any]:
    members, target = electorate(nodes, communities), sha256(what.encode())
    drawn = members.draw(target, share, proportional=proportional)
    numbers = {sha256(b"node %d" % number): number for number in range(nodes)}
    return {
        "what": what,
        "nodes": nodes,
        "communities": communities,
        "target": target.hex(),
        "n": share.seats,
        "q": share.quorum,
        "proportional": proportional,
        "seats": [numbers[seat.node] for seat in drawn.seats],
        "quorum": drawn.quorum,
    }


def profiles() -> dict[str, Any]:
    valid: list[tuple[str, Profile]] = [("pilot", PILOT), ("standard", STANDARD), ("vault", VAULT)]
    row = list(unpack(pack(STANDARD.packable()), "profile"))
    wrong = [
        ("two thirds of the anchors", changed(row, (0, 45))),
        ("more than all anchors", changed(row, (1, 41))),
        ("half of the watchers", changed(row, (2, 38))),
        ("more than all watchers", changed(row, (3, 32))),
        ("no seats", changed(row, (2, 0), (3, 0))),
        ("257 seats", changed(row, (0, 257), (1, 200))),
        ("a third is byzantine", changed(row, (4, 334))),
        ("proportional is a number", changed(row, (5, 0))),
        ("a field is missing", row[:5]),
    ]
    return {
        "valid": [{"what": what, "hex": pack(each.packable()).hex()} for what, each in valid],
        "invalid": [{"rule": rule, "hex": pack(each).hex()} for rule, each in wrong],
    }


# ---- transactions ----


def swap() -> SignedTx:
    changes = ALICE.change([b"a"]), CAROL.change([b"b", b"c"])
    return signed(accepted(core(*changes, parties="xy"), "xy"), ALICE, CAROL)


def transactions() -> dict[str, Any]:
    full = ALICE.change([b"%d" % each for each in range(256)])
    valid = [
        ("one slot", transfer(ALICE)),
        ("nobody is concerned", transfer(ALICE, parties=())),
        ("a party did not answer", signed(accepted(core(full, parties="xy"), "x"), ALICE)),
        ("two slots, two parties", swap()),
    ]
    return {
        "valid": [_transaction(what, each) for what, each in valid],
        "invalid": [
            {"rule": rule, "hex": long_hex.write(pack(each))} for rule, each in wrong_transactions()
        ],
    }


def _transaction(what: str, each: SignedTx) -> dict[str, Any]:
    return {
        "what": what,
        "core_hash": each.tx.core.hash.hex(),
        "commitment": commitment_to(each.tx.nonce).hex(),
        "h": each.tx.hash.hex(),
        "accompanied": each.tx.accompanied,
        "hex": long_hex.write(each.encoded),
    }


def wrong_transactions() -> Named:
    row: Any = unpack(swap().encoded, "transaction")
    tx, signatures = row
    whole, accepts = tx[1], tx[2]

    def but(*edits: tuple[int, Any], change: Sequence[tuple[int, Any]] = ()) -> Any:  # noqa: ANN401  (msgpack)
        first = changed(whole[3][0], *change)
        return [changed(tx, (1, changed(whole, (3, [first, whole[3][1]]), *edits))), signatures]

    def accept(*edits: tuple[int, Any]) -> Any:  # noqa: ANN401  (msgpack)
        return [changed(tx, (2, [changed(accepts[0], *edits), *accepts[1:]])), signatures]

    def sign(*rows: Any) -> Any:  # noqa: ANN401  (msgpack)
        return [tx, list(rows)]

    one, two = signatures
    return [
        ("version 2", [changed(tx, (0, 2)), signatures]),
        ("the core has version 2", but((0, 2))),
        ("a network of 31 bytes", but((1, bytes(31)))),
        ("a kind with a capital", but((2, "Transfer"))),
        ("no slot", but((3, []))),
        ("nine slots", but((3, [whole[3][0]] * 9))),
        ("the streams descend", but((3, [whole[3][1], whole[3][0]]))),
        ("a stream twice", but((3, [whole[3][0]] * 2))),
        ("the parties descend", but((4, whole[4][::-1]))),
        ("17 parties", but((4, [bytes([each]) * 32 for each in range(17)]))),
        ("epoch 2³²", but((5, 2**32))),
        ("the memo is text", but((7, "memo"))),
        ("slot 0", but(change=[(1, 0), (2, [])])),
        ("another number of peaks", but(change=[(2, [bytes(32)] * 4)])),
        ("no leaf", but(change=[(3, [])])),
        ("257 leaves", but(change=[(3, [bytes(32)] * 257)])),
        ("another root", but(change=[(4, bytes(32))])),
        ("the pin goes back", but(change=[(5, 1)])),
        ("no owners_hash", but(change=[(8, None)])),
        ("an accept of a stranger", accept((0, b"\0" * 32))),
        ("an accept for another slot", accept((2, 4))),
        ("the accepts descend", [changed(tx, (2, accepts[::-1])), signatures]),
        ("an accept twice", [changed(tx, (2, [accepts[0], *accepts])), signatures]),
        ("a nonce of 31 bytes", [changed(tx, (3, bytes(31))), signatures]),
        ("the signatures descend", sign(two, one)),
        ("a signature twice", sign(one, one, two)),
        ("a signature for a third slot", sign(one, two, [2, 0, two[2]])),
        ("owner 64", sign(one, [1, 64, two[2]])),
        ("a signature of 63 bytes", sign(one, [1, 0, two[2][:63]])),
        ("a field is too many", [tx, signatures, None]),
    ]


# ---- what has no author ----


def authorless() -> list[dict[str, Any]]:
    halls: list[tuple[Value, int]] = [(Void(), 1), (Void(), 2**30 - 2), (Reanchor(4), 5)]
    return [
        {
            "value": _plain(value.packable()),
            "stream": ALICE.stream.hex(),
            "base_length": length,
            "leaf": authorless_leaf(Slot(NETWORK, ALICE.stream, length), value).hex(),
        }
        for value, length in halls
        if isinstance(value, Void | Reanchor)
    ]


def _plain(value: Any) -> Any:  # noqa: ANN401  (msgpack)
    return [each.hex() if isinstance(each, bytes) else each for each in value]


# ---- certificates ----


def finals() -> list[tuple[str, str, Fc]]:
    bases = {each.stream: each.base() for each in (ALICE, CAROL)}
    both = swap()
    long = Account("alice", 127)
    late = signed(accepted(core(long.change([b"pay"], 3), parties="x", epoch=3), "x"), long)
    bare = SMALL.bare_fc
    manifest = bare(ALICE.slot, ALICE.base(), Manifested(sha256(MANIFEST)))
    return [
        ("one slot", "small", SMALL.fc(transfer(ALICE), [ALICE.base()])),
        (
            "two slots in view 3",
            "small",
            SMALL.fc(both, [bases[each.stream] for each in both.tx.core.changes], view=3),
        ),
        ("the standard profile", "large", LARGE.fc(late, [long.base(3)])),
        ("VOID", "small", bare(ALICE.slot, ALICE.base(), Void(), view=1)),
        ("REANCHOR", "small", bare(CAROL.slot, CAROL.base(), Reanchor(4))),
        ("a genesis", "small", bare(FIRST, NOTHING_YET, Founding())),
        ("a manifest", "small", replace(manifest, manifest=MANIFEST)),
    ]


def _final(what: str, hall: str, fc: Fc) -> dict[str, Any]:
    commits = fc.commits if isinstance(fc, PaidFc) else (fc.commits,)
    found = {
        "what": what,
        "epoch": hall,
        "votes": len(fc.checks({HALLS[hall].number: HALLS[hall].epoch})),
        "decisions": [each.decision.hex() for each in commits],
        "hex": long_hex.write(fc.encoded),
    }
    after = bases_after(fc)
    return {**found, "digests_after": [each.hex() for each in after]} if after else found


def bases_after(fc: Fc) -> list[bytes]:
    """Where the certificate alone says them."""
    if isinstance(fc, PaidFc):
        return [fc.base_after(change.stream).digest for change in fc.signed.tx.core.changes]
    lasting = isinstance(fc.commits.value, Void | Reanchor)
    return [fc.base_after().digest] if lasting else []


def certificates() -> dict[str, Any]:
    return {
        "valid": [_final(*each) for each in finals()],
        "invalid": [
            {"rule": rule, "epoch": "small", "hex": long_hex.write(pack(row))}
            for rule, row in [*wrong_paid(), *wrong_bare()]
        ],
    }


def wrong_paid() -> Named:
    by_name = {what: fc for what, _, fc in finals()}
    both: Any = unpack(by_name["two slots in view 3"].encoded, "FC")
    one: Any = unpack(by_name["one slot"].encoded, "FC")
    early = SMALL.fc(signed(accepted(core(ALICE.change([b"pay"]), epoch=1)), ALICE), [ALICE.base()])
    row, votes = one[2][0], one[2][0][4]

    def commits(*edits: tuple[int, Any]) -> Any:  # noqa: ANN401  (msgpack)
        return changed(one, (2, [changed(row, *edits)]))

    return [
        ("watchers drawn before watch_epoch", unpack(early.encoded, "FC")),
        ("COMMITs for one slot of two", changed(both, (2, both[2][:1]))),
        ("CONFIRMs for one slot of two", changed(both, (5, both[5][:1]))),
        ("COMMITs of the other slot", changed(both, (2, both[2][::-1]))),
        ("another state", commits((0, None))),
        ("other owners", commits((1, bytes(32)))),
        ("another view", commits((2, 1))),
        ("another seat", commits((3, b"\x0b"))),
        ("a seat too few", commits((3, b"\x03"), (4, votes[:128]))),
        ("a seat too many", commits((3, b"\x0f"), (4, votes + votes[:64]))),
        ("a seat that there is not", commits((3, b"\x13"))),
        ("a bitmap of two bytes", commits((3, b"\x07\0"))),
        ("votes in another order", commits((4, votes[64:] + votes[:64]))),
        ("half a vote", commits((4, votes[:-32]))),
        ("COMMITs instead of CONFIRMs", changed(one, (5, [votes]))),
        ("an epoch that is not certified", changed(one, (3, 1))),
        ("a field is missing", one[:5]),
        ("a field is too many", [*one, None]),
        ("neither form", changed(one, (0, 2))),
    ]


def wrong_bare() -> Named:
    bare = SMALL.bare_fc
    void: Any = unpack(bare(ALICE.slot, ALICE.base(), Void()).encoded, "FC")
    cases: list[tuple[str, BareFc]] = [
        ("VOID in slot 0", bare(FIRST, NOTHING_YET, Void())),
        ("a genesis later", bare(ALICE.slot, ALICE.base(), Founding())),
        ("EMPTY", bare(ALICE.slot, ALICE.base(), Empty())),
        ("a transaction without CONFIRMs", bare(ALICE.slot, ALICE.base(), Transfer(bytes(32)))),
        ("REANCHOR to the same epoch", bare(ALICE.slot, ALICE.base(), Reanchor(0))),
        ("peaks of another length", bare(ALICE.slot, CAROL.base(), Void())),
        ("a manifest without its bytes", bare(ALICE.slot, ALICE.base(), Manifested(bytes(32)))),
        (
            "another manifest",
            replace(bare(ALICE.slot, ALICE.base(), Manifested(bytes(32))), manifest=MANIFEST),
        ),
        ("VOID with a manifest", replace(bare(ALICE.slot, ALICE.base(), Void()), manifest=b"")),
    ]
    return [
        *[(rule, unpack(each.encoded, "FC")) for rule, each in cases],
        ("VOID with an epoch", changed(void, (4, [1, 2]))),
        ("a value that there is not", changed(void, (4, [6]))),
        ("a base without a pin", changed(void, (2, void[2][:3]))),
    ]


# ---- AC ----


def acs() -> dict[str, Any]:
    paid = Transfer(transfer(ALICE).tx.hash)
    valid: list[tuple[str, Ac]] = [
        ("view 0", SMALL.ac(ALICE.slot, ALICE.base(), paid)),
        ("view 2", SMALL.ac(ALICE.slot, ALICE.base(), Void(), view=2)),
        ("other seats", SMALL.ac(ALICE.slot, ALICE.base(), paid, seats=[0, 2, 3])),
    ]
    first = valid[0][1]
    moved = replace(first, ballot=first.ballot._replace(view=1))
    row: Any = unpack(pack(first.packable()), "AC")
    wrong: Named = [
        ("a later view without a NEWVIEW", unpack(pack(moved.packable()), "AC")),
        ("view 0 with a NEWVIEW", changed(row, (5, bytes(32)))),
        ("nothing is locked", changed(row, (4, [4]))),
        ("another value", changed(row, (4, [0, bytes(32)]))),
        ("another base", changed(row, (1, bytes(32)))),
        ("COMMITs", _of_commits(first)),
        ("a field is too many", [*row, None]),
    ]
    return {
        "valid": [
            {"what": what, "digest": ac.digest.hex(), "hex": pack(ac.packable()).hex()}
            for what, ac in valid
        ],
        "invalid": [{"rule": rule, "hex": pack(each).hex()} for rule, each in wrong],
    }


def _of_commits(ac: Ac) -> Any:  # noqa: ANN401  (msgpack)
    quorum: Quorum = SMALL.commits(ac.ballot.slot, ALICE.base(), ac.value).quorum
    return unpack(pack(replace(ac, quorum=quorum).packable()), "AC")


# ---- the file ----


def make() -> dict[str, str]:
    epochs = {
        name: {
            "number": hall.number,
            "nodes": hall.nodes,
            "communities": hall.communities,
            "profile": pack(hall.profile.packable()).hex(),
        }
        for name, hall in HALLS.items()
    }
    owners = {each.stream.hex(): each.name for each in (ALICE, CAROL)}
    found = {
        "members": NOTE,
        "hex": long_hex.NOTE,
        "network": NETWORK.hex(),
        "owners": owners,
        "epochs": epochs,
        "profiles": profiles(),
        "committees": committees(),
        "authorless": authorless(),
        "transactions": transactions(),
        "acs": acs(),
        "certificates": certificates(),
    }
    return {NAME: text_of(found)}


if __name__ == "__main__":
    for name, text in make().items():
        (FOLDER / name).write_text(text)
