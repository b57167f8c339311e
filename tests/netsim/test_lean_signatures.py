from netsim.signatures import Verdicts
from qbix_node.crypto.keys import KeyPair
from qbix_node.machines import SignatureCheck
from qbix_node.runtime import verify_checks

ALICE, BOB = KeyPair.from_seed(b"a" * 32), KeyPair.from_seed(b"b" * 32)


def signed(keys: KeyPair, body: bytes) -> SignatureCheck:
    return SignatureCheck(keys.public, body, keys.sign(body))


def test_a_signature_is_checked_once() -> None:
    verdicts = Verdicts()
    checks = [signed(ALICE, b"one"), signed(ALICE, b"two"), signed(BOB, b"one")]
    assert [verdicts.verify(checks) for _ in range(3)] == [(True, True, True)] * 3
    assert (verdicts.asked, verdicts.checked) == (9, 3)


def test_a_wrong_one_stays_wrong_and_does_not_spoil_the_right_one() -> None:
    verdicts = Verdicts()
    right = signed(ALICE, b"one")
    wrong = [
        SignatureCheck(BOB.public, right.body, right.signature),
        SignatureCheck(right.key, b"two", right.signature),
        SignatureCheck(right.key, right.body, bytes(64)),
    ]
    for _ in range(2):
        assert verdicts.verify([*wrong, right]) == (False, False, False, True)
    assert verdicts.checked == 4


def test_what_is_no_key_or_signature_is_refused_as_the_product_does() -> None:
    right = signed(ALICE, b"body")
    moved = [
        SignatureCheck(right.key + right.signature[:1], right.body, right.signature[1:]),
        SignatureCheck(right.key, right.signature[-1:] + right.body, right.signature[:-1]),
        SignatureCheck(b"", right.body, right.signature),
    ]
    assert Verdicts().verify(moved) == verify_checks(moved) == (False, False, False)


def test_it_forgets_the_oldest_verdict() -> None:
    verdicts = Verdicts(most=2)
    one, two, three = [signed(ALICE, bytes([n])) for n in range(3)]
    verdicts.verify([one, two, three])
    assert len(verdicts) == 2
    verdicts.verify([three, two])
    assert verdicts.checked == 3
    verdicts.verify([one])
    assert verdicts.checked == 4
