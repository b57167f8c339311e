"""Finds out whether a sentence stands in the page and section that it is said to be from."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NEXT = re.compile(r"; (?=(?:spec/[\w-]+|[A-Z]+)\.md)")


def stands(where: str, words: str) -> bool:
    """`where`: page and section, which may be an item of a list (3.6); none is what the page
    begins with. An ellipsis in the words stands for what is left out.
    """
    page, _, section = where.partition(" ")
    text = plain(_section((ROOT / page).read_text(), section))
    place = 0
    for part in plain(words).split("…"):
        found = text.find(part.strip(), place)
        if found < 0:
            return False
        place = found + len(part.strip())
    return True


def strays(cited: str) -> list[str]:
    """Of sentences with their places, those that do not stand there."""
    parted = [each.partition(": ") for each in _NEXT.split(cited)]
    return [f"{where}: {words}" for where, _, words in parted if not stands(where, words)]


def plain(markdown: str) -> str:
    """Without links and emphasis, in one line."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", markdown)
    return re.sub(r"[\s|]+", " ", re.sub(r"\*\*?|`", "", text))


def _section(page: str, name: str) -> str:
    if not name:
        return page.partition("\n## ")[0]
    head = re.search(rf"^(##+) {re.escape(name)}(?:\.? .*)?$", page, re.MULTILINE)
    if head:
        rest = page[head.end() :]
        end = re.search(rf"^#{{2,{len(head[1])}}} ", rest, re.MULTILINE)
        return rest[: end.start()] if end else rest
    outer, _, item = name.rpartition(".")
    assert outer, f"there is no section {name}"
    found = re.search(
        rf"^{item}\. .*?(?=^\d+\. |^\n|\Z)", _section(page, outer), re.MULTILINE | re.DOTALL
    )
    assert found, f"section {outer} has no item {item}"
    return found[0]
