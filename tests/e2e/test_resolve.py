"""An owner whose home was cloned forks a stream, chooses a branch, and all daemons move to it."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.test_commands import Person
from tests.interop.node import Node, make_home, open_node

NAMES = ("alice", "bob", "carol")


@asynccontextmanager
async def open_all(*homes: Path) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_node(home)) for home in homes]


async def append(node: Node, stream: str, *texts: str) -> None:
    for text in texts:
        answer = await node.control.post(
            "/streams/append", params={"stream": stream}, content=text.encode()
        )
        assert answer.is_success, answer.text


async def exported(node: Node, stream: str) -> bytes:
    answer = await node.control.get("/streams/export", params={"stream": stream})
    assert answer.is_success, answer.text
    return answer.content


async def texts_of(node: Node, stream: str) -> list[str]:
    rows = await node.ask_lines("/streams/log", stream=stream)
    return [row["text"] for row in rows]


async def branch_off(home: Path, clone: Path, stream: str, *texts: str) -> bytes:
    """The clone appends these; the file to which it then exports the stream."""
    await copied(home, clone)
    async with open_node(clone) as node:
        await append(node, stream, *texts)
        return await exported(node, stream)


async def copied(home: Path, clone: Path) -> None:
    shutil.copytree(home, clone, ignore=shutil.ignore_patterns("*.sock"))


async def until(nodes: Sequence[Node], stream: str, **wanted: object) -> None:
    for node in nodes:
        await node.until(
            "/streams",
            lambda rows: [
                row
                for row in rows
                if row["stream"] == stream and {name: row[name] for name in wanted} == wanted
            ],
        )


async def connect(owner: Node, alice: Node, bob: Node, carol: Node) -> None:
    await owner.dial(alice.address)
    await alice.dial(bob.address)
    await bob.dial(carol.address)


@pytest.mark.parametrize("writers", [(), ("--anybody-writes",)], ids=["alone", "with writers"])
@pytest.mark.parametrize("root", [False, True], ids=["the branch here", "the other branch"])
async def test_an_owner_chooses_a_branch_and_all_go_on_with_it_until_a_second_fork(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], root: bool, writers: tuple[str, ...]
) -> None:
    home, others = tmp_path / "owner", [tmp_path / name for name in NAMES]
    for each in (home, *others):
        await make_home(each)
    owner_types = Person(home, capsys)
    async with open_node(home) as owner:
        stream = await owner_types.types("stream", "create", *writers)
        stream = stream.strip()
        await append(owner, stream, "same")
    lost = await branch_off(home, tmp_path / "clone", stream, "y", "z", "zz")

    async with open_all(home, *others) as nodes:
        owner, *followers = nodes
        await append(owner, stream, "x")
        file = await exported(owner, stream)
        for node, data in zip(followers, (file, lost, lost), strict=True):
            answer = await node.control.post("/streams/import", content=data)
            assert answer.is_success, answer.text
        await connect(owner, *followers)
        await until(nodes, stream, forked=True, closed=False)

        shown = await owner_types.asks("stream", "show", stream)
        roots = {branch["here"]: branch["root"] for branch in shown["branches"]}
        await check_refusals(owner_types, stream, roots[True])
        command = ["stream", "resolve", stream, *(["--root", roots[False]] if root else [])]
        told = await owner_types.types(*command)
        assert roots[not root] in told
        chosen = {"resolved_root": roots[not root], "forked": False, "stopped": None}
        length = 5 if root else 3
        await until(nodes, stream, **chosen, length=length, head_length=length)
        assert "already" in await owner_types.is_refused(*command, code=1)

        expected = ["same", "y", "z", "zz"] if root else ["same", "x"]
        await append(owner, stream, "later")
        await until(nodes, stream, length=length + 1)
        for node in nodes:
            assert await texts_of(node, stream) == [*expected, "later"]
        again = tmp_path / "again.stream"
        await check_told(owner_types, stream, again)

    await check_import(tmp_path / "dave", again, stream, capsys)
    second = await branch_off(home, tmp_path / "clone2", stream, "q", "r")
    async with open_all(home, *others) as nodes:
        owner, *followers = nodes
        await until(nodes, stream, **chosen, length=length + 1)
        await append(owner, stream, "p")
        answer = await followers[2].control.post("/streams/import", content=second)
        assert answer.is_success, answer.text
        await connect(owner, *followers)
        await until(nodes, stream, forked=True, closed=True)
        assert "CLOSED" in await owner_types.types("stream", "show", stream)
        refusal = await owner_types.is_refused(*command, code=1)
        assert "already" in refusal or "closed" in refusal
    async with open_node(others[0]) as node:
        await until([node], stream, closed=True)


async def check_refusals(owner: Person, stream: str, root: str) -> None:
    file = "README.md"
    assert "forked" in await owner.is_refused("stream", "append", stream, file, code=1)
    command = ["stream", "resolve", stream, "--root"]
    assert "no root" in await owner.is_refused(*command, "x", code=65)
    assert root in await owner.is_refused(*command, "A" * 43 + "=", code=1)


async def check_told(owner: Person, stream: str, file: Path) -> None:
    """By the commands, and by the export."""
    assert "resolved since" in await owner.types("fork", "list")
    assert "resolved fork" in await owner.types("stream", "show", stream)
    assert "1 forked" not in await owner.types("status")
    await owner.types("stream", "export", stream, "-o", str(file))
    verified = await owner.asks("stream", "verify", "--file", str(file))
    assert (verified["resolved"], verified["closed"], verified["forks"]) == (True, False, 1)


async def check_import(
    home: Path, file: Path, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who gets it by file knows of the choice, too."""
    await make_home(home)
    dave = Person(home, capsys)
    async with open_node(home):
        assert (await dave.asks("stream", "import", str(file)))["resolved"] is True
        row = await dave.asks("stream", "show", stream)
        assert (row["stopped"], row["resolved_length"]) == (None, row["branches"][0]["length"])


async def test_a_file_brings_the_choice_to_a_node_with_the_other_branch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, other = tmp_path / "owner", tmp_path / "other"
    for each in (home, other):
        await make_home(each)
    owner_types, other_types = Person(home, capsys), Person(other, capsys)
    async with open_node(home) as owner:
        stream = (await owner_types.types("stream", "create")).strip()
        await append(owner, stream, "same")
    lost = await branch_off(home, tmp_path / "clone", stream, "y")
    (tmp_path / "lost").write_bytes(lost)
    async with open_all(home, other) as (owner, node):
        await append(owner, stream, "x")
        await other_types.types("stream", "import", str(tmp_path / "lost"))
        await owner.dial(node.address)
        await until([owner, node], stream, forked=True)
    async with open_node(home):
        await owner_types.types("stream", "resolve", stream)
        await owner_types.types("stream", "export", stream, "-o", str(tmp_path / "chosen"))
    async with open_node(other) as node:
        refusal = await other_types.is_refused(
            "stream", "import", str(tmp_path / "chosen"), code=75
        )
        assert "chose a branch" in refusal
        await until([node], stream, stopped=None, length=0)
        await other_types.types("stream", "import", str(tmp_path / "chosen"))
        assert await texts_of(node, stream) == ["same", "x"]


async def test_what_can_not_be_resolved_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, other = tmp_path / "owner", tmp_path / "other"
    for each in (home, other):
        await make_home(each)
    owner_types, other_types = Person(home, capsys), Person(other, capsys)
    async with open_all(home, other) as (owner, node):
        stream = (await owner_types.types("stream", "create")).strip()
        free = (await owner_types.types("stream", "create", "--uniqueness", "none")).strip()
        await append(owner, stream, "same")
        refused = await owner_types.is_refused("stream", "resolve", stream, code=1)
        assert "no fork" in refused
        assert "nothing to choose" in await owner_types.is_refused(
            "stream", "resolve", free, code=1
        )
        file = await exported(owner, stream)
        answer = await node.control.post("/streams/import", content=file)
        assert answer.is_success
        refused = await other_types.is_refused("stream", "resolve", stream, code=1)
        assert "no owner" in refused
        strange = stream[:-8] + "AAAAAAA="
        assert "nothing of" in await other_types.is_refused("stream", "resolve", strange, code=1)


async def test_who_was_cut_off_chooses_nothing_before_somebody_says_that_nothing_was_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "owner"
    await make_home(home)
    owner_types = Person(home, capsys)
    async with open_node(home) as owner:
        stream = (await owner_types.types("stream", "create")).strip()
        await append(owner, stream, "same")
    other = tmp_path / "other.stream"
    other.write_bytes(await branch_off(home, tmp_path / "clone", stream, "y"))
    async with open_node(home) as owner:
        await append(owner, stream, "x")
        await owner_types.is_refused("stream", "import", str(other), code=1)
        owner.process.kill()
        await owner.process.wait()
    async with open_node(home):
        refused = await owner_types.is_refused("stream", "resolve", stream, code=75)
        assert f"stream resume {stream} 3" in refused
        await owner_types.types("stream", "resume", stream, "3")
        await owner_types.types("stream", "resolve", stream)
        assert (await owner_types.asks("stream", "show", stream))["forked"] is False
