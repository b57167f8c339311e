"""Proofs that the author of a classic feed forked it: made, read and checked.

SPEC streams 6: form c.
Nothing but the proof is needed to check one, and nobody who never signed twice can be accused.
"""

from collections.abc import Callable
from dataclasses import dataclass

from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.feeds.messages import ClassicMessage, Refused
from qbix_node.feeds.records import Evidence
from qbix_node.feeds.validation import UNITS_MAX, read_message, signature_check
from qbix_node.machines import SignatureCheck
from qbix_node.wire import fields, v8json
from qbix_node.wire.packing import Packable, pack, unpack
from qbix_node.wire.references import FeedId

PROOF_BYTES_MAX = 64 * 1024
FORM = "c"


@dataclass(frozen=True, slots=True)
class ClassicFork:
    """Two valid messages of one author and sequence; that with the smaller id first."""

    message: ClassicMessage
    other: ClassicMessage

    @property
    def feed(self) -> FeedId:
        return self.message.author

    @property
    def sequence(self) -> int:
        return self.message.sequence

    def convicted(self) -> tuple[FeedId, ...]:
        """Who signed both, if the checks hold."""
        return (self.feed,)

    def packable(self) -> tuple[Packable, ...]:
        return 1, FORM, self.message.encoded, self.other.encoded

    def checks(self) -> tuple[SignatureCheck, ...]:
        """Raises Malformed."""
        if self.message.author != self.other.author:
            raise Malformed("form c: the messages are of two authors")
        if self.message.sequence != self.other.sequence:
            raise Malformed("form c: the messages have two sequences")
        if not self.message.id < self.other.id:
            raise Malformed("form c: expected two ids, the smaller first")
        return signature_check(self.message), signature_check(self.other)


def fork_of(evidence: Evidence) -> ClassicFork:
    message, other = sorted((evidence.ours, evidence.theirs), key=lambda each: each.id)
    return ClassicFork(message, other)


def encode_classic_fork(fork: ClassicFork) -> bytes:
    return pack(fork.packable())


def read_classic_fork(encoded: bytes) -> ClassicFork:
    """Raises Malformed. Whether it proves anything is what `check_classic_fork` says."""
    if len(encoded) > PROOF_BYTES_MAX:
        raise Malformed(f"fork proof: {len(encoded)} bytes, {PROOF_BYTES_MAX} are allowed")
    row = fields.versioned(unpack(encoded, "fork proof"), "fork proof", size=4)
    if row[1] != FORM:
        raise Malformed("fork proof: its form is not c")
    return ClassicFork(_read_message(row[2]), _read_message(row[3]))


def check_classic_fork(
    fork: ClassicFork, verify_one: Callable[[bytes, bytes, bytes], bool] = verify
) -> None:
    """Raises Malformed with the reason why it proves nothing."""
    if not all(verify_one(check.key, check.body, check.signature) for check in fork.checks()):
        raise Malformed("fork proof: a signature doesn't match")


def _read_message(text: object) -> ClassicMessage:
    """Raises Malformed."""
    if not isinstance(text, str) or len(text) > UNITS_MAX:
        raise Malformed(f"fork proof: a message is text of at most {UNITS_MAX} characters")
    message = read_message(v8json.parse(text.encode(), "fork proof: message"))
    if isinstance(message, Refused):
        raise Malformed(f"fork proof: {message.reason}")
    if message.encoded != text:
        raise Malformed("fork proof: a message is not encoded as its author signed it")
    return message
