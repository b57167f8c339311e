"""The documentation is complete where a machine can tell."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from qbix_node.cli.main import commands

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "spec").rglob("*.md"),
        *(ROOT / "tests/interop/peers").glob("*.md"),
    ]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def all_commands(command: click.Command, *path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            part = command.get_command(context, name)
            assert part is not None
            yield from all_commands(part, *path, name)
    else:
        yield " ".join(path)


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("command", list(all_commands(commands)))
def test_every_command_is_documented(command: str) -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(re.search(rf"\b{command}\b", page.read_text()) for page in pages)


@pytest.mark.parametrize("vectors", sorted((ROOT / "spec/vectors").iterdir()), ids=named)
def test_every_vector_file_is_named_by_a_specification(vectors: Path) -> None:
    pages = (ROOT / "spec").glob("*.md")
    assert any(f"vectors/{vectors.name}" in page.read_text() for page in pages)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "spec").glob("*.md")), ids=named)
def test_every_specification_is_in_the_list(page: Path) -> None:
    assert page.name == "README.md" or f"({page.name})" in (ROOT / "spec/README.md").read_text()


def abbreviations() -> list[str]:
    _, section = (ROOT / "docs/glossary.md").read_text().split("## Abbreviations")
    rows = re.findall(r"^\| ([a-z, ]+) \| \S", section, re.MULTILINE)
    return [name for row in rows for name in row.split(", ")]


def test_the_glossary_has_no_abbreviation_that_nobody_uses() -> None:
    code = "".join(module.read_text() for module in (ROOT / "qbix_node").rglob("*.py"))
    used = {part.lower() for part in re.findall("[A-Z]?[a-z]+|[A-Z]+", code)}
    assert abbreviations()
    assert set(abbreviations()) <= used


def test_no_word_stands_in_the_glossary_twice() -> None:
    words = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    each = [word for row in words if row != "word" for word in row.split(", ")]
    assert sorted(each) == sorted(set(each))
