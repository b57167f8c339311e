"""Read a blob, or a part of it, chunk by chunk, off the event loop."""

from functools import partial
from typing import Self

from qbix_node.blobs.files import BlobFiles
from qbix_node.runtime import Executor
from qbix_node.wire.references import BlobId

CHUNK_BYTES = 256 * 1024  # at a time: a thread costs more than one packet of 64 KiB is worth


class Reader:
    """Its chunks. Every read opens the file anew, so whoever stops early leaves nothing open."""

    def __init__(self, files: BlobFiles, executor: Executor, blob: BlobId, wanted: range) -> None:
        self.size = len(wanted)
        self._files = files
        self._executor = executor
        self._blob = blob
        self._left = wanted

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Raises NoSuchBlob (it was removed meanwhile), Temporary."""
        if not self._left:
            raise StopAsyncIteration
        size = min(CHUNK_BYTES, len(self._left))
        read = partial(self._files.read, self._blob, self._left.start, size)
        self._left = self._left[size:]
        return await self._executor.run(read)
