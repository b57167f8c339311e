"""The status page: one file, no outside resource, nothing but GET /status behind it."""

import base64
import hashlib
import re
from importlib.resources import files

PAGE = files("qbix_node.http").joinpath("page.html").read_text(encoding="utf-8")


def _hash_of(tag: str) -> str:
    """What a content security policy calls the source of the page's own inline element."""
    match = re.search(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    assert match
    digest = hashlib.sha256(match.group(1).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


PAGE_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_hash_of('script')}; style-src {_hash_of('style')};"
        " connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
