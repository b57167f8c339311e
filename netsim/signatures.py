"""Signatures that were checked once in this process stay checked, whatever node or run asks.

Every check is a real one of Ed25519; only its verdict is remembered, wrong ones as well. What is
asked is named by a BLAKE2b over key, signature and body, so that nothing else can be meant by it.
"""

from collections.abc import Sequence
from hashlib import blake2b

from qbix_node.crypto.keys import PUBLIC_BYTES, SIGNATURE_BYTES, verify
from qbix_node.machines import SignatureCheck

VERDICTS_MAX = 1 << 18  # some 35 MB; beyond, the oldest is forgotten
_NAME_BYTES = 20


class Verdicts:
    def __init__(self, most: int = VERDICTS_MAX) -> None:
        self.checked = 0  # really
        self.asked = 0
        self._most = most
        self._verdicts: dict[bytes, bool] = {}

    def __len__(self) -> int:
        return len(self._verdicts)

    def verify(self, checks: Sequence[SignatureCheck]) -> tuple[bool, ...]:
        """As `qbix_node.runtime.verify_checks`."""
        return tuple([self._verdict(check) for check in checks])

    def _verdict(self, check: SignatureCheck) -> bool:
        self.asked += 1
        key, signature = check.key, check.signature
        if len(key) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
            return False  # as every check has it; and so the name below has no two readings
        name = blake2b(key + signature + check.body, digest_size=_NAME_BYTES).digest()
        verdict = self._verdicts.get(name)
        if verdict is None:
            self.checked += 1
            verdict = self._verdicts[name] = verify(key, check.body, signature)
            if len(self._verdicts) > self._most:
                del self._verdicts[next(iter(self._verdicts))]
        return verdict


VERDICTS = Verdicts()  # of this process: who verifies what is no part of any run
verify_checks = VERDICTS.verify
