"""Puts assets and data into one HTML file that needs nothing from outside.

The scripts are modules that import one another. A browser refuses to load modules from file://, so
each becomes a function here that is called once and gives back what it exports.
"""

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping
from importlib.resources import files

_ASSETS = files("netsim.report").joinpath("assets")
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([a-z]+)\.mjs";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:const|function|class) (\w+))", re.MULTILINE)
_STYLES = ("look.css", "run.css", "sweep.css")


def make_page(title: str, data: Mapping[str, object], records: bytes, *, entry: str) -> str:
    """`entry`: the module that shows `data`."""
    style = "".join(_asset(name) for name in _STYLES)
    script = bundle(entry)
    policy = (
        f"default-src 'none'; script-src {_hash_of(script)}; style-src {_hash_of(style)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )
    packed = base64.b64encode(zlib.compress(records, 6)).decode()
    parts = {
        "policy": html.escape(policy),
        "title": html.escape(title),
        "style": style,
        "data": _harmless_json(data),
        "records": packed if records else "",
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))


def bundle(entry: str) -> str:
    """A module and all that it needs, what is needed first. No two may need each other."""
    done: dict[str, str] = {}

    def add(name: str) -> None:
        if name in done:
            return
        source = _asset(f"{name}.mjs")
        for _, needed in _IMPORT.findall(source):
            add(needed)
        given = ", ".join(name for _, name in _EXPORT.findall(source))
        body = _EXPORT.sub(r"\1", _IMPORT.sub(r"const \1 = module_\2;", source))
        done[name] = f"const module_{name} = (() => {{\n{body}return {{ {given} }};\n}})();\n"

    add(entry)
    return '"use strict";\n' + "".join(done.values())


def _harmless_json(data: Mapping[str, object]) -> str:
    """JSON in which no browser sees markup, whatever strangers wrote."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII only
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")


def _hash_of(source: str) -> str:
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
