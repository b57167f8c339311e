"""Which records honest nodes published, and when."""

from netsim.dht.faces import Faces
from qbix_node.dht.endpoints import Endpoint
from qbix_node.dht.ids import NodeId
from qbix_node.dht.records import Content, ProviderContent, provider_key

_WHAT = "stream"


class Published:
    """A publisher's editions differ in the port that they name."""

    def __init__(self, faces: Faces, subjects: int) -> None:
        self._faces, self._subjects = faces, subjects
        self._editions: dict[int, list[float]] = {}  # by publisher: when each came

    def publish(self, publisher: int, now: float) -> Content:
        """The next edition."""
        editions = self._editions.setdefault(publisher, [])
        editions.append(now)
        ip = self._faces.by_number[publisher].endpoint.ip
        address = Endpoint(ip, len(editions))
        return ProviderContent(_WHAT, self.subject_of(publisher), (address,))

    @property
    def publishers(self) -> list[int]:
        return list(self._editions)

    def newest(self, publisher: int, at_s: float) -> int:
        """The number of the edition that was the newest then; there is one in any case."""
        return max(1, sum(came <= at_s for came in self._editions[publisher]))

    def edition(self, content: Content) -> int:
        assert isinstance(content, ProviderContent)
        return content.addresses[0].port

    def key_of(self, publisher: int) -> NodeId:
        return provider_key(_WHAT, self.subject_of(publisher))

    def subject_of(self, publisher: int) -> bytes:
        named = publisher % self._subjects if self._subjects else publisher
        return b"subject" + named.to_bytes(25)
