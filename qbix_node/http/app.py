"""The HTTP applications: the control socket's whole API, and the read-only one on loopback.

docs/http-api.md describes both. What a request asks for wrongly is answered 400 with a sentence;
a bug is answered 500 without details, which are logged.
"""

import ipaddress
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from qbix_node.errors import LocalError, RemoteError
from qbix_node.http import answers
from qbix_node.http.api import Api
from qbix_node.http.content_handlers import ContentHandlers
from qbix_node.http.dht_handlers import DhtHandlers
from qbix_node.http.domain_handlers import DomainHandlers
from qbix_node.http.fork_handlers import ForkHandlers
from qbix_node.http.handlers import Handlers
from qbix_node.http.stream_handlers import StreamHandlers


def control_app(api: Api) -> ASGIApp:
    """Everything: who may open the control socket may do everything that the node can."""
    to, forks, dht = Handlers(api), ForkHandlers(api.forks), DhtHandlers(api.dht)
    domains = DomainHandlers(api.domains)
    contents = ContentHandlers(api.contents)
    streams = StreamHandlers(api.streams, contents)
    return _app(
        *_looking(to),
        Route("/peers", to.peers),
        Route("/peers", to.add_peer, methods=["POST"]),
        Route("/peers/remove", to.remove_peer, methods=["POST"]),
        Route("/peers/block", to.block, methods=["POST"]),
        Route("/peers/unblock", to.unblock, methods=["POST"]),
        Route("/feeds", to.feeds),
        Route("/feeds/log", to.log),
        Route("/feeds/publish", to.publish, methods=["POST"]),
        Route("/feeds/resume", to.resume, methods=["POST"]),
        Route("/streams", streams.streams),
        Route("/streams/show", streams.show),
        Route("/streams/create", streams.create, methods=["POST"]),
        Route("/streams/append", streams.append, methods=["POST"]),
        Route("/streams/resolve", streams.resolve, methods=["POST"]),
        Route("/streams/owners", streams.set_owners, methods=["POST"]),
        Route("/streams/resume", streams.resume, methods=["POST"]),
        Route("/streams/log", streams.log),
        Route("/streams/content", contents.content),
        Route("/streams/drop", contents.drop, methods=["POST"]),
        Route("/streams/fetch", contents.fetch, methods=["POST"]),
        Route("/streams/prove", streams.prove),
        Route("/streams/export", streams.export),
        Route("/streams/import", streams.import_, methods=["POST"]),
        Route("/forks", forks.forks),
        Route("/forks/proof", forks.proof),
        Route("/dht/table", dht.table),
        Route("/dht/lookup", dht.lookup),
        Route("/domains", domains.published),
        Route("/domains/lookup", domains.lookup),
        Route("/domains/publish", domains.publish, methods=["POST"]),
        Route("/domains/withdraw", domains.withdraw, methods=["POST"]),
        Route("/following", to.following),
        Route("/follow", to.follow, methods=["POST"]),
        Route("/unfollow", to.unfollow, methods=["POST"]),
        Route("/blobs", to.blobs),
        Route("/blobs", to.add_blob, methods=["POST"]),
        Route("/blobs/content", to.blob),
        Route("/blobs/remove", to.remove_blob, methods=["POST"]),
    )


def status_app(api: Api) -> ASGIApp:
    """The status page, health and metrics: nothing that changes anything, loopback names only."""
    to = Handlers(api)
    return _LoopbackOnly(_app(Route("/", to.page), *_looking(to)))


def _looking(to: Handlers) -> list[Route]:
    return [
        Route("/status", to.status),
        Route("/health", to.health),
        Route("/metrics", to.metrics),
    ]


def _app(*routes: Route) -> Starlette:
    return Starlette(
        routes=list(routes),
        exception_handlers={
            LocalError: answers.refuse,
            RemoteError: answers.refuse_malformed,
            HTTPException: answers.refuse_http,
            ClientDisconnect: answers.nobody_there,
            Exception: answers.fail,
        },
    )


class _LoopbackOnly:
    """A page of another site may make its own name resolve to 127.0.0.1 (DNS rebinding); then the
    Host header has that name, and nothing is answered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_loopback(dict(scope["headers"]).get(b"host", b"")):
            message = "the Host header names no loopback address"
            refused = answers.refusal(message, HTTPStatus.MISDIRECTED_REQUEST)
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_loopback(header: bytes) -> bool:
    host = header.decode("latin-1")
    name, colon, port = host.rpartition(":")
    if not (colon and port.isdigit()):
        name = host
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
