"""Certificates hold, and nothing that differs from them in one byte does."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from qbix_node.certificates.certificates import Ac, BareFc, Fc, PaidFc, fc_of, read_ac, read_fc
from qbix_node.certificates.committees import STANDARD
from qbix_node.certificates.epochs import Epochs
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
from qbix_node.crypto.boxes import sha256
from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.streams.messages import read_header
from qbix_node.streams.tree import bag
from qbix_node.wire.packing import pack, unpack
from tests.certificates.hall import NETWORK, Account, Hall, accepted, core, signed, transfer

ALICE, CAROL = Account("alice", 5), Account("carol", 8)
HALL = Hall(4)
EPOCHS: Epochs = {0: HALL.epoch}
BASES = {ALICE.stream: ALICE.base(), CAROL.stream: CAROL.base()}
FIRST = Slot(NETWORK, ALICE.stream, 0)
NOTHING_YET = replace(Account("alice", 0).base(), state_root=None)


def holds(checks: tuple[SignatureCheck, ...]) -> bool:
    return all(verify(each.key, each.body, each.signature) for each in checks)


def one() -> PaidFc:
    return HALL.fc(transfer(ALICE), [ALICE.base()])


def swap() -> PaidFc:
    tx = accepted(core(ALICE.change([b"a"]), CAROL.change([b"b", b"c"]), parties="xy"), "xy")
    bases = [BASES[change.stream] for change in tx.core.changes]
    return HALL.fc(signed(tx, ALICE, CAROL), bases, view=3)


def bare(value: Value, *, view: int = 0) -> BareFc:
    return HALL.bare_fc(ALICE.slot, ALICE.base(), value, view)


CERTIFICATES: dict[str, Callable[[], Fc]] = {
    "one": one,
    "swap": swap,
    "void": lambda: bare(Void(), view=1),
    "reanchor": lambda: bare(Reanchor(4)),
    "genesis": lambda: HALL.bare_fc(FIRST, NOTHING_YET, Founding()),
    "manifest": lambda: replace(bare(Manifested(sha256(b"all of it"))), manifest=b"all of it"),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_comes_back_from_its_bytes_and_holds(name: str) -> None:
    fc = CERTIFICATES[name]()
    again = read_fc(fc.encoded)
    assert again == fc
    assert again.epochs == {0}
    assert holds(again.checks(EPOCHS))


def test_so_many_signatures_and_no_more_are_checked() -> None:
    assert len(one().checks(EPOCHS)) == 3 + 3
    assert len(swap().checks(EPOCHS)) == 2 * (3 + 3)
    assert len(bare(Void()).checks(EPOCHS)) == 3


@pytest.mark.parametrize("name", CERTIFICATES)
def test_no_byte_of_a_certificate_can_be_another(name: str) -> None:
    fc = CERTIFICATES[name]()
    for place in range(len(fc.encoded)):
        changed = bytearray(fc.encoded)
        changed[place] ^= 1
        try:
            other = read_fc(bytes(changed))
            checks = other.checks(EPOCHS)
        except Malformed:
            continue
        if holds(checks):  # then the votes are true, and what owners or parties signed is not
            assert isinstance(other, PaidFc)
            owned = other.signed.checks({each.stream: each.owners for each in (ALICE, CAROL)})
            assert owned is None or not holds(owned), place


def test_a_standard_certificate_of_one_slot_is_small_and_cheap() -> None:
    hall, account = Hall(60, 60, profile=STANDARD), Account("alice", 127)  # peaks as of 10^6 leaves
    fc = hall.fc(transfer(account), [account.base()])
    assert len(fc.encoded) <= 4096
    assert len(fc.checks({0: hall.epoch})) == 49


def test_the_base_that_follows() -> None:
    change = ALICE.change([b"pay"])
    after = one().base_after(ALICE.stream)
    assert bag(after.peaks) == change.new_root
    assert (after.state_root, after.pin) == (change.state_root, 0)
    for value, pin in ((Void(), 0), (Reanchor(4), 4)):
        nothing = bare(value).base_after()
        assert nothing.pin == pin
        assert nothing.state_root == ALICE.base().state_root
        assert nothing.owners_hash == ALICE.owners.hash
        assert len(nothing.peaks) == (6).bit_count()


def changed(fc: Fc, **parts: object) -> bytes:
    return replace(fc, **parts).encoded  # type: ignore[arg-type]  # each test names true fields


def refused() -> dict[str, bytes]:
    both = swap()
    later = signed(accepted(core(ALICE.change([b"pay"]), epoch=1)), ALICE)
    return {
        "watchers of before": HALL.fc(later, [ALICE.base()]).encoded,
        "COMMITs for one slot of two": changed(both, commits=both.commits[:1]),
        "CONFIRMs for one slot of two": changed(both, confirms=both.confirms[:1]),
        "another number of peaks": HALL.bare_fc(ALICE.slot, CAROL.base(), Void()).encoded,
        "REANCHOR that goes nowhere": bare(Reanchor(0)).encoded,
        "VOID in slot 0": HALL.bare_fc(FIRST, NOTHING_YET, Void()).encoded,
        "a genesis later": bare(Founding()).encoded,
        "EMPTY": bare(Empty()).encoded,
        "a transaction without watchers": bare(Transfer(bytes(32))).encoded,
        "a manifest without bytes": bare(Manifested(sha256(b"all of it"))).encoded,
        "another manifest": changed(bare(Manifested(bytes(32))), manifest=b"all of it"),
        "VOID with a manifest": changed(bare(Void()), manifest=b"all of it"),
        "none": pack((2, None)),
        "nothing": pack(()),
    }


@pytest.mark.parametrize("name", refused())
def test_what_is_no_certificate_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        read_fc(refused()[name])


def test_an_epoch_without_a_certified_manifest_proves_nothing() -> None:
    with pytest.raises(Malformed, match="epoch 0"):
        one().checks({})
    with pytest.raises(Malformed, match="epoch 0"):
        one().checks({0: replace(HALL.epoch, network=bytes(32))})


def test_votes_of_another_view_are_no_certificate() -> None:
    fc = one()
    other = replace(fc, commits=(fc.commits[0]._replace(view=1),))
    assert not holds(fc_of(unpack(other.encoded, "FC")).checks(EPOCHS))


# ---- AC ----


def test_an_ac_comes_back_from_its_bytes_and_holds() -> None:
    for view in (0, 2):
        ac = HALL.ac(ALICE.slot, ALICE.base(), Void() if view else Transfer(bytes(32)), view=view)
        again = read_ac(unpack(pack(ac.packable()), "AC"))
        assert again == ac
        assert holds(again.checks(EPOCHS))


def test_acs_of_different_signers_have_different_digests() -> None:
    signers = ([0, 1, 2], [1, 2, 3])
    acs = [HALL.ac(ALICE.slot, ALICE.base(), Void(), seats=seats) for seats in signers]
    assert all(holds(ac.checks(EPOCHS)) for ac in acs)
    assert acs[0].digest != acs[1].digest


@pytest.mark.parametrize(("view", "newview"), [(0, bytes(32)), (1, None)])
def test_only_an_ac_of_a_later_view_rests_on_a_newview(view: int, newview: bytes | None) -> None:
    ac = HALL.ac(ALICE.slot, ALICE.base(), Void())
    other = Ac(ac.ballot._replace(view=view), ac.value, newview, ac.quorum)
    with pytest.raises(Malformed, match="NEWVIEW"):
        read_ac(unpack(pack(other.packable()), "AC"))


# ---- what has no author ----


def test_a_leaf_without_an_author_is_no_header_that_an_author_could_write() -> None:
    for value in (Void(), Reanchor(3)):
        with pytest.raises(Malformed, match="author"):
            read_header(authorless_leaf(ALICE.slot, value))
