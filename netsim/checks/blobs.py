"""What a node keeps of blobs."""

from typing import ClassVar

from netsim import facts
from netsim.asking import blob_of, limits_of
from netsim.checks.check import Check, Facts, Report, View
from netsim.plan import Do, Operation
from qbix_node.blobs import messages as b
from qbix_node.blobs.quota import COUNTED_BYTES_MIN
from qbix_node.wire.references import BlobId

_MARK = b"b/s"
_OF_BLOBS = (Do.ADD_BLOB, Do.WANT_BLOB, Do.UNWANT_BLOB, Do.REMOVE_BLOB)


class RightBytes(Check):
    name = "a blob has the hash that names it"
    guards = "spec/blobs.md 5: another hash … nothing is kept; spec/blobs.md: named by its SHA-256."
    watches: ClassVar[Facts] = (b.Arrived,)

    def handle(self, node: int, fact: object) -> None:
        assert isinstance(fact, b.Arrived)
        files = self.view.honest[node].files
        if fact.blob not in files.sizes():
            self.violated(node, f"blob {fact.blob.hex()[:8]} is not here")
        elif not files.intact(fact.blob):
            self.violated(node, f"blob {fact.blob.hex()[:8]} has other bytes")

    def finish(self) -> None:
        for node, site in self.view.honest.items():
            for blob in site.files.sizes():
                if not site.files.intact(blob):
                    self.violated(node, f"blob {blob.hex()[:8]} has other bytes")


class OperatorsBlobsStay(Check):
    """What a person added, or wanted and was told to be here, until it is removed."""

    name = "blobs of the operator stay"
    guards = (
        "spec/blobs.md 5: A blob that is fetched for peers only is here by sympathy. That … ends"
        " when the operator adds or wants the blob"
    )
    watches: ClassVar[Facts] = (
        facts.Asked,
        facts.RolledBack,
        facts.Started,
        b.Arrived,
        b.Discard,
        b.Unwanted,
        b.Wanted,
    )

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._asked: dict[int, set[BlobId]] = {}  # in this life
        self._wanted: dict[int, set[BlobId]] = {}  # for good
        self._kept: dict[int, dict[BlobId, None]] = {}

    def handle(self, node: int, fact: object) -> None:
        kept = self._kept.setdefault(node, {})
        match fact:
            case facts.Asked(operation):
                self._ask(node, operation)
            case b.Wanted(blob):
                self._wanted.setdefault(node, set()).add(blob)
            case b.Unwanted(blob):
                self._wanted.setdefault(node, set()).discard(blob)
            case b.Arrived(blob):
                if blob in self._asked.get(node, ()) or blob in self._wanted.get(node, ()):
                    kept[blob] = None
            case b.Discard(blob) if blob in kept:
                self.violated(node, f"blob {blob.hex()[:8]} is to give way to others")
            case facts.RolledBack():
                kept.clear()
                self._wanted.pop(node, None)
            case facts.Started():
                self._asked.pop(node, None)
                self._look(node)
            case _:
                pass

    def _ask(self, node: int, operation: Operation) -> None:
        if operation.do not in _OF_BLOBS or not self.view.hears(node):
            return
        asked, blob = self._asked.setdefault(node, set()), blob_of(operation)
        full = self.view.honest[node].disk.full
        if operation.do is Do.WANT_BLOB or (operation.do is Do.ADD_BLOB and not full):
            asked.add(blob)
            return
        if operation.do is Do.ADD_BLOB:
            return  # a blob that can't be written is refused
        asked.discard(blob)
        self._wanted.get(node, set()).discard(blob)
        if operation.do is Do.REMOVE_BLOB:
            self._kept[node].pop(blob, None)

    def finish(self) -> None:
        for node in self._kept:
            self._look(node)

    def _look(self, node: int) -> None:
        site = self.view.honest[node]
        for blob in self._kept.get(node, ()):
            if blob not in site.files.sizes():
                self.violated(node, f"blob {blob.hex()[:8]} is gone")
            elif site.disk.get(_MARK + blob) is not None:
                self.violated(node, f"blob {blob.hex()[:8]} is marked as here by sympathy only")


class SympathyWithinQuota(Check):
    name = "sympathy stays within its quota"
    guards = (
        "spec/blobs.md 5: Blobs that are here by sympathy share a quota on disk, each counting as"
        " 64 KiB at least; the oldest give way to a new one."
    )
    watches: ClassVar[Facts] = (b.Arrived, b.Discard, b.Gone, facts.Crashed, facts.Asked)

    def __init__(self, view: View, report: Report) -> None:
        super().__init__(view, report)
        self._most = limits_of(view.world.plan)[1].sympathy_bytes_max
        self._leaving: dict[int, set[BlobId]] = {}
        self._wished: dict[int, set[BlobId]] = {}

    def handle(self, node: int, fact: object) -> None:
        leaving = self._leaving.setdefault(node, set())
        match fact:
            case facts.Asked(Operation(do=Do.ADD_BLOB | Do.WANT_BLOB) as operation):
                self._wished.setdefault(node, set()).add(blob_of(operation))
            case b.Discard(blob):
                leaving.add(blob)
            case b.Gone(blob):
                leaving.discard(blob)
            case facts.Crashed():
                leaving.clear()
            case b.Arrived(blob):
                leaving.discard(blob)
                self._look(node)
            case _:
                pass

    def finish(self) -> None:
        for node in self.view.honest:
            self._look(node)

    def _look(self, node: int) -> None:
        site = self.view.honest[node]
        aside = self._leaving.get(node, set()) | self._wished.get(node, set())
        used = 0
        for blob, size in site.files.sizes().items():
            if blob not in aside and site.disk.get(_MARK + blob) is not None:
                used += max(size, COUNTED_BYTES_MIN)
        if used > self._most:
            self.violated(node, f"{used} bytes are here by sympathy, {self._most} are allowed")


BLOB_CHECKS = (RightBytes, OperatorsBlobsStay, SympathyWithinQuota)
