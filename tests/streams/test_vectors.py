"""spec/vectors/streams-*.json are what the generator makes, and what this package says of them."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from qbix_node.crypto.keys import verify
from qbix_node.errors import Malformed
from qbix_node.machines import SignatureCheck
from qbix_node.streams.chunks import ChunkNode, chunk_tree, read_node, read_root
from qbix_node.streams.forks import ResolveFork, ShownHead, check_fork, fork_id, read_fork
from qbix_node.streams.genesis import Genesis, Uniqueness, read_genesis
from qbix_node.streams.messages import read_header, read_signed_head, read_signed_resolve
from qbix_node.streams.owners import Owners, read_owners
from qbix_node.streams.succession import read_owners_set
from qbix_node.streams.tree import Hash, bag, climb, grow, lead, leaf_hash
from qbix_node.wire.packing import pack, unpack
from qbix_node.wire.references import format_stream
from tests.streams.long_hex import read as data
from tests.streams.make_vectors import FOLDER, make
from tests.streams.takers import Taker

MADE = make()
TREE, BYTES, FORKS = [json.loads(text) for text in MADE.values()]
MIB = 1024 * 1024


@pytest.mark.parametrize("name", MADE)
def test_the_committed_files_are_those_that_are_made(name: str) -> None:
    assert (FOLDER / name).read_text() == MADE[name], "python -m tests.streams.make_vectors"
    assert len(MADE[name]) < 300 * 1024


def hashes(rows: list[str]) -> tuple[Hash, ...]:
    return tuple([Hash(bytes.fromhex(row)) for row in rows])


def digest(content: bytes) -> bytes:
    return sha256(content).digest()


def both(vectors: dict[str, Any]) -> pytest.MarkDecorator:
    """Whether it is valid, and the vector."""
    rows = [(True, each) for each in vectors["valid"]]
    rows += [(False, each) for each in vectors["invalid"]]
    named = [each.get("what") or each.get("rule") or "" for _, each in rows]
    return pytest.mark.parametrize(("is_valid", "vector"), rows, ids=named)


def require(checks: tuple[SignatureCheck, ...] | None) -> None:
    """That enough signed, and rightly."""
    rows = checks or ()
    if not rows or not all(verify(each.key, each.body, each.signature) for each in rows):
        raise Malformed("signatures")


# ---- the tree ----


@pytest.mark.parametrize("vector", TREE["roots"], ids=lambda vector: str(vector["length"]))
def test_roots_and_peaks(vector: dict[str, Any]) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(vector["length"])]
    peaks, _ = grow((), 0, leaves)
    assert peaks == hashes(vector["peaks"])
    assert bag(peaks).hex() == vector["root"]


@both(TREE["frontiers"])
def test_frontiers(is_valid: bool, vector: dict[str, Any]) -> None:
    peaks, frontier = hashes(vector["peaks"]), hashes(vector["frontier"])
    root = lead(peaks, vector["from"], frontier, vector["to"])
    assert (root == bytes.fromhex(vector["root"])) == is_valid


@both(TREE["paths"])
def test_paths(is_valid: bool, vector: dict[str, Any]) -> None:
    (node,), path = hashes([vector["node"]]), hashes(vector["path"])
    root = climb(node, vector["level"], vector["index"], path, vector["length"])
    assert (root == bytes.fromhex(vector["root"])) == is_valid


# ---- bytes ----

GENESES = {each["what"]: read_genesis(data(each["hex"])) for each in BYTES["geneses"]["valid"]}


def verdict(is_valid: bool, vector: dict[str, Any], check: Callable[[bytes], object]) -> None:
    encoded = data(vector["hex"])
    if is_valid:
        check(encoded)
    else:
        with pytest.raises(Malformed):
            check(encoded)


@both(BYTES["geneses"])
def test_geneses(is_valid: bool, vector: dict[str, Any]) -> None:
    verdict(is_valid, vector, read_genesis)
    if is_valid:
        genesis = read_genesis(data(vector["hex"]))
        assert genesis.encoded == data(vector["hex"])
        assert format_stream(genesis.stream) == vector["id"]
        hashed = genesis.owners.hash
        assert hashed.hex() == vector.get("owners_hash", hashed.hex())


@both(BYTES["headers"])
def test_headers(is_valid: bool, vector: dict[str, Any]) -> None:
    def check(encoded: bytes) -> None:
        header = read_header(encoded)
        assert header.encoded == encoded
        if (signed := header.check()) is not None:
            require((signed,))

    verdict(is_valid, vector, check)
    assert not is_valid or leaf_hash(data(vector["hex"])).hex() == vector["leaf_hash"]


@both(BYTES["heads"])
def test_heads(is_valid: bool, vector: dict[str, Any]) -> None:
    def check(encoded: bytes) -> None:
        shown = ShownHead(read_signed_head(unpack(encoded, "Head")))
        require(shown.checks(GENESES[vector["genesis"]]))
        assert pack(shown.signed.packable()) == encoded

    verdict(is_valid, vector, check)


@both(BYTES["resolves"])
def test_resolves(is_valid: bool, vector: dict[str, Any]) -> None:
    genesis: Genesis = GENESES[vector["genesis"]]

    def check(encoded: bytes) -> None:
        signed = read_signed_resolve(unpack(encoded, "Resolve"))
        if signed.resolve.stream != genesis.stream or genesis.uniqueness is not Uniqueness.GOSSIP:
            raise Malformed("stream")
        require(signed.checks(genesis.owners))
        assert pack(signed.packable()) == encoded

    verdict(is_valid, vector, check)


@both(BYTES["owners_sets"])
def test_owners_sets(is_valid: bool, vector: dict[str, Any]) -> None:
    weights, threshold = vector["before"]
    rows = tuple([(bytes.fromhex(key), weight) for key, weight in weights])
    before: Owners = read_owners(rows, threshold, "before")

    def check(encoded: bytes) -> None:
        change = read_owners_set(encoded)
        require(change.checks(before))
        assert change.encoded == encoded
        hashed = change.owners.hash
        assert hashed.hex() == vector["owners_hash"]

    verdict(is_valid, vector, check)


# ---- contents ----


@both(BYTES["chunk_nodes"])
def test_chunk_nodes(is_valid: bool, vector: dict[str, Any]) -> None:
    def check(encoded: bytes) -> None:
        assert read_root(encoded, vector["size"]).encoded == encoded

    verdict(is_valid, vector, check)
    assert not is_valid or digest(data(vector["hex"])).hex() == vector["hash"]


@both(BYTES["children"])
def test_children(is_valid: bool, vector: dict[str, Any]) -> None:
    parent = read_node(data(vector["parent"]))

    def check() -> None:
        if "chunk" in vector:
            parent.check_chunk(vector["place"], data(vector["chunk"]))
        else:
            parent.read_child(vector["place"], data(vector["node"]))

    if is_valid:
        check()
    else:
        with pytest.raises(Malformed):
            check()


def tree_of(chunks: list[bytes], size: int) -> list[ChunkNode]:
    """By the hashes of its chunks."""
    rows = [(each, min(MIB, size - place * MIB)) for place, each in enumerate(chunks)]
    return list(chunk_tree(rows))


@pytest.mark.parametrize("vector", BYTES["contents"]["zeros"], ids=lambda each: str(each["size"]))
def test_contents_of_zeros(vector: dict[str, Any]) -> None:
    size = vector["size"]
    if size <= 5 * MIB:
        assert digest(bytes(size)).hex() == vector["content_hash"]
        return
    parts = [digest(bytes(min(MIB, size - start))) for start in range(0, size, MIB)]
    (root,) = tree_of(parts, size)
    assert root.encoded == data(vector["root"])
    assert digest(root.encoded).hex() == vector["content_hash"]


@pytest.mark.parametrize("vector", BYTES["contents"]["made_up"], ids=lambda each: str(each["size"]))
def test_trees_of_chunks(vector: dict[str, Any]) -> None:
    count = -(-vector["size"] // MIB)
    nodes = tree_of([digest(b"chunk %d" % number) for number in range(count)], vector["size"])
    found = [[node.level, node.size, digest(node.encoded).hex()] for node in nodes]
    assert found == vector["nodes"]


# ---- logs ----


@pytest.mark.parametrize("vector", BYTES["logs"], ids=lambda each: str(each["what"]))
def test_logs(vector: dict[str, Any]) -> None:
    taker = Taker()
    for taken in range(len(vector["segments"]) + 1):
        for refused in vector["refused"]:
            if refused["after"] == taken:
                with pytest.raises(Malformed):
                    taker.take(data(refused["hex"]))
        if taken < len(vector["segments"]):
            segment = vector["segments"][taken]
            state = taker.take(data(segment["hex"]))
            assert state.length == segment["length"]
            assert state.peaks == hashes(segment["peaks"])
            assert bag(state.peaks).hex() == segment["root"]


# ---- forks ----


@both(FORKS)
def test_forks(is_valid: bool, vector: dict[str, Any]) -> None:
    verdict(is_valid, vector, lambda encoded: check_fork(read_fork(encoded)))
    if is_valid:
        encoded = data(vector["hex"])
        fork = read_fork(encoded)
        assert pack(fork.packable()) == encoded
        assert fork_id(encoded).hex() == vector["id"]
        assert format_stream(fork.stream) == vector["stream"]
        assert fork.forked_length == vector["forked_length"]


def test_proofs_of_all_forms_are_there() -> None:
    forks = [read_fork(data(each["hex"])) for each in FORKS["valid"]]
    forms = {fork.packable()[1] for fork in forks}
    assert forms == {"a", "b", "r"}
    assert any(fork.resolved for fork in forks if not isinstance(fork, ResolveFork))
