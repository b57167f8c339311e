"""docs/http-api.md knows every path, field and figure."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from qbix_node.http.api import Status
from qbix_node.http.app import control_app
from tests.http.memory_api import MemoryApi

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text()


def routes() -> list[tuple[str, str]]:
    app = control_app(MemoryApi())
    assert isinstance(app, Starlette)
    return [
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    ]


@pytest.mark.parametrize(("method", "path"), routes())
def test_every_path_is_described(method: str, path: str) -> None:
    assert re.search(rf"`{method} [^|]*{path}`", PAGE)


def test_nothing_is_described_that_does_not_exist() -> None:
    described = re.findall(r"`(GET|POST) (/[a-z/]*)`", PAGE)
    assert set(described) <= {*routes(), ("GET", "/")}


@pytest.mark.parametrize("field", [item.name for item in fields(Status)])
def test_every_field_of_the_status_is_described(field: str) -> None:
    assert f"`{field}`" in PAGE
