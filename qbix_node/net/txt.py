"""TXT records of DNS (RFC 1035), asked of the resolvers of this machine."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

PATIENCE_S = 5.0
TEXTS_MAX = 16  # of a name


class DnsTexts:
    """`servers`: host and port to ask instead of the machine's own."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._servers = servers

    async def texts(self, name: str) -> list[str]:
        """Nothing where there are none, or nobody answers: who asks knows no more then."""
        # Slow to import, and few nodes ask ever.
        from dns.asyncresolver import Resolver  # noqa: PLC0415
        from dns.exception import DNSException  # noqa: PLC0415

        try:
            found = await self._resolver(Resolver).resolve(name, "TXT", lifetime=PATIENCE_S)
        except (DNSException, OSError):
            return []
        rows = [b"".join(row.strings) for row in found][:TEXTS_MAX]
        return [row.decode(errors="replace") for row in rows]

    def _resolver(self, kind: "type[Resolver]") -> "Resolver":
        if not self._servers:
            return kind()
        resolver = kind(configure=False)
        resolver.nameservers = [host for host, _ in self._servers]
        resolver.nameserver_ports = dict(self._servers)
        return resolver
