"""Proofs that a daemon holds: how they come by file, and how they are listed and shown."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from qbix_node.feeds.forks import encode_classic_fork, fork_of
from qbix_node.feeds.records import Evidence, put_evidence
from qbix_node.gossip.proofs import proof_id
from qbix_node.store.leveldb import LevelDbStore
from qbix_node.streams.archive import OPENING, frame
from qbix_node.streams.authoring import sign_resolve
from qbix_node.streams.forks import ShownHead, encode_fork, equal_fork
from qbix_node.streams.messages import Resolve, Segment, SignedResolve
from qbix_node.wire.packing import pack
from qbix_node.wire.references import encode_base64, format_feed, format_stream
from tests.e2e.test_commands import Person
from tests.feeds import authors
from tests.gossip.gossips import Author
from tests.interop.node import make_home, open_node


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    await make_home(tmp_path / "alice")
    return tmp_path / "alice"


def archive_of(segments: Sequence[Segment]) -> bytes:
    return OPENING + b"".join([frame(segment.encoded) for segment in segments])


@pytest.fixture
def alice(home: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(home, capsys)


async def test_the_proofs_in_a_file_are_kept_named_and_exported_again(
    tmp_path: Path, home: Path, alice: Person
) -> None:
    author = Author()
    branches = [author.write(["same"], [text]) for text in ("one", "other")]
    heads = [ShownHead(branch[-1].signed_head) for branch in branches]
    proof = encode_fork(equal_fork(author.genesis, heads[0], heads[1]))
    frames = [*[segment.encoded for segment in branches[0]], proof]
    file, copy, shown = tmp_path / "file", tmp_path / "copy", tmp_path / "proof"
    name, key = format_stream(author.stream), format_feed(author.keys.public)
    whole = encode_base64(proof_id(proof))
    row = {
        "id": whole,
        "form": "a",
        "log": name,
        "length": 3,
        "convicted": [key],
        "resolved": False,
    }

    file.write_bytes(OPENING + b"".join(map(frame, frames)))
    async with open_node(home):
        assert await alice.asks("fork", "list") == []
        assert "forked" not in await alice.types("status")
        assert (await alice.asks("stream", "import", str(file)))["proofs"] == 1
        assert await alice.asks("fork", "list") == [row]

    async with open_node(home):
        assert await alice.asks("fork", "list") == [row]
        assert (await alice.asks("status"))["forks"] == [row]
        told = await alice.types("status")
        assert "streams   1, 1 forked\n" in told
        assert f"{name} forked: at length 3\n" in told
        assert (await alice.asks("stream", "show", name))["forked"] is True
        for command in (("stream", "list"), ("stream", "show", name)):
            assert "FORKED" in await alice.types(*command)
        told = await alice.types("fork", "list")
        assert f"{whole}  a  {name} forked: at length 3\n    signed both  {key}\n" == told
        told = await alice.types("fork", "show", whole[:5], "-o", str(shown))
        assert f"signed both  {key}\n" in told
        assert "no proof here" in await alice.is_refused("fork", "show", "zzzzz", code=1)
        assert "missing" in await alice.is_refused("fork", "show", "", code=65)
        await alice.types("stream", "export", name, "-o", str(copy))
        assert (await alice.asks("stream", "verify", name))["forks"] == 1
    assert shown.read_bytes() == proof
    assert copy.read_bytes().endswith(frame(proof))
    assert (await alice.asks("stream", "verify", "--file", str(copy)))["forks"] == 1


@pytest.mark.parametrize("runs", [[["same"], ["other"]], [["same"], ["other"], ["more"]]])
async def test_a_file_with_another_history_than_the_one_here_proves_a_fork(
    tmp_path: Path, home: Path, alice: Person, runs: list[list[str]]
) -> None:
    author, file = Author(), tmp_path / "file"
    async with open_node(home):
        file.write_bytes(archive_of(author.write(["same"], ["one"])))
        await alice.asks("stream", "import", str(file))
        file.write_bytes(archive_of(author.write(*runs)))
        told = await alice.is_refused("stream", "import", str(file), code=1)
        assert "frame 3" in told
        assert "forked it" in told
        (row,) = await alice.asks("fork", "list")
        assert row["convicted"] == [format_feed(author.keys.public)]
        assert (await alice.asks("stream", "show", format_stream(author.stream)))["forked"]


async def test_a_file_with_another_history_that_nobody_signed_proves_nothing(
    tmp_path: Path, home: Path, alice: Person
) -> None:
    author, file = Author(), tmp_path / "file"
    async with open_node(home):
        file.write_bytes(archive_of(author.write(["same"], ["one"])))
        await alice.asks("stream", "import", str(file))
        *first, last = author.write(["same"], ["other"])
        index, signature = last.signed_head.signatures[0]
        spoiled = bytes([signature[0] ^ 1]) + signature[1:]
        unsigned = last.signed_head._replace(signatures=((index, spoiled),))
        file.write_bytes(archive_of([*first, replace(last, signed_head=unsigned)]))
        await alice.is_refused("stream", "import", str(file), code=65)
        assert await alice.asks("fork", "list") == []


async def test_a_choice_in_a_file_that_does_not_hold_is_refused(
    tmp_path: Path, home: Path, alice: Person
) -> None:
    author = Author()
    branches = [author.write(["same"], [text]) for text in ("one", "other")]
    heads = [ShownHead(branch[-1].signed_head) for branch in branches]
    proof = encode_fork(equal_fork(author.genesis, heads[0], heads[1]))
    chosen, lost = [
        sign_resolve(Resolve(author.stream, 3, each.head.root), (0, author.keys)) for each in heads
    ]
    strange = sign_resolve(Resolve(author.stream, 2, heads[0].head.root), (0, author.keys))
    unsigned = chosen._replace(signatures=((0, bytes(64)),))
    file = tmp_path / "file"

    def write(resolve: SignedResolve, *further: bytes) -> str:
        frames = [segment.encoded for segment in branches[0]]
        frames += [pack(resolve.packable()), *further]
        file.write_bytes(OPENING + b"".join(map(frame, frames)))
        return str(file)

    told = await alice.asks("stream", "verify", "--file", write(chosen, proof))
    assert (told["resolved"], told["forks"]) == (True, 1)
    for resolve in (lost, strange):
        refusal = await alice.is_refused(
            "stream", "verify", "--file", write(resolve, proof), code=1
        )
        assert "another branch" in refusal
    async with open_node(home):
        for resolve, further in ((unsigned, [proof]), (chosen, []), (strange, [proof])):
            refusal = await alice.is_refused("stream", "import", write(resolve, *further), code=65)
            assert "Resolve" in refusal
        row = await alice.asks("stream", "show", format_stream(author.stream))
        assert row["resolved_length"] is None
        assert row["length"] == 3
        assert (await alice.asks("stream", "import", write(chosen, proof)))["resolved"] is True


async def test_a_proof_in_a_file_that_proves_nothing_is_refused(
    tmp_path: Path, home: Path, alice: Person
) -> None:
    author = Author()
    branches = [author.write([text]) for text in ("one", "other")]
    heads = [ShownHead(branch[-1].signed_head) for branch in branches]
    proof = encode_fork(equal_fork(author.genesis, heads[0], heads[1]))
    forged = proof[:-2] + bytes([proof[-2] ^ 1]) + proof[-1:]
    file = tmp_path / "file"
    frames = [*[segment.encoded for segment in branches[0]], forged]
    file.write_bytes(OPENING + b"".join(map(frame, frames)))
    async with open_node(home):
        assert "frame 3" in await alice.is_refused("stream", "import", str(file), code=65)
        assert await alice.asks("fork", "list") == []


async def test_forked_feeds_are_listed_and_shown_too(
    tmp_path: Path, home: Path, alice: Person
) -> None:
    mallory = authors.Author("mallory")
    mallory.write_many(6)
    messages = mallory.twin().write(), mallory.write({"type": "post", "text": "other"})
    evidence = Evidence(authors.START_MS, *messages)
    async with LevelDbStore.open(home / "store") as store:
        await store.write([put_evidence(evidence)])
    proof, shown = encode_classic_fork(fork_of(evidence)), tmp_path / "proof"
    feed, whole = format_feed(mallory.feed), encode_base64(proof_id(proof))
    row = {
        "id": whole,
        "form": "c",
        "log": feed,
        "length": 7,
        "convicted": [feed],
        "resolved": False,
    }
    async with open_node(home):
        assert await alice.asks("fork", "list") == [row]
        assert (await alice.asks("status"))["forks"] == [row]
        assert f"{feed} forked: two messages 7\n" in await alice.types("status")
        told = await alice.asks("fork", "show", whole[:8], "-o", str(shown))
        assert (told["feed"], told["sequence"], told["convicted"]) == (feed, 7, [feed])
    assert shown.read_bytes() == proof
    assert "two messages 7" in await alice.types("fork", "verify", str(shown))
