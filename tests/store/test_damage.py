"""A damaged store is refused with a clear error, or has everything that was acknowledged.

Never anything in between: no gap that nobody notices, and no new empty store in the old place.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from qbix_node.errors import ExitCode, LocalError
from qbix_node.ports import Put
from qbix_node.store.check import check, repair
from qbix_node.store.leveldb import LevelDbStore
from tests.store.places import OnDisk

ROWS = {b"k%06d" % i: hashlib.shake_128(b"%d" % i).digest(300) for i in range(400)}


@dataclass
class Wreck:
    path: Path
    was_closed: bool

    @property
    def db(self) -> Path:
        return self.path / "db"

    def one(self, pattern: str) -> Path:
        """The newest log or MANIFEST, or the oldest table with rows of ours."""
        found = sorted(self.db.glob(pattern))
        return found[1] if pattern.endswith("ldb") else found[-1]

    def contents(self) -> dict[str, str]:
        files = [each for each in self.path.rglob("*") if each.is_file() and each.name != "lock"]
        return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


async def fill(place: OnDisk, rows: dict[bytes, bytes], cleanly: bool) -> None:
    store = place.open()
    keys = sorted(rows)
    for i in range(0, len(keys), 20):
        await store.write([Put(key, rows[key]) for key in keys[i : i + 20]])
    await (store.aclose() if cleanly else place.kill(store))


@pytest.fixture(scope="module")
def models(ram_folder: Path) -> dict[bool, Path]:
    """A store of some tables and a log, closed (True) and killed."""
    names = {True: "closed", False: "killed"}
    places = {cleanly: OnDisk(ram_folder / name) for cleanly, name in names.items()}
    for cleanly, place in places.items():
        trio.run(fill, place, ROWS, cleanly)
    return {cleanly: place.path for cleanly, place in places.items()}


@pytest.fixture(params=[True, False], ids=["closed", "killed"])
def wreck(request: pytest.FixtureRequest, models: dict[bool, Path], ram_path: Path) -> Wreck:
    return copied(models, ram_path / "store", was_closed=request.param)


def copied(models: dict[bool, Path], path: Path, *, was_closed: bool) -> Wreck:
    shutil.copytree(models[was_closed], path)
    return Wreck(path, was_closed)


def outcome(wreck: Wreck, expected: dict[bytes, bytes] = ROWS) -> str:
    """ "refused", or "whole"; anything else is a failure of the test."""
    found = wreck.contents()
    rows, refusal = dict[bytes, bytes](), None
    try:
        store = LevelDbStore.open(wreck.path)
    except LocalError as error:
        refusal = error
        assert wreck.contents() == found, "a refused store stays as it was found"
    else:
        try:
            rows = dict(store.scan(b"k", b"l", limit=10**6))
        except LocalError as error:
            refusal = error
        trio.run(store.aclose)
    if refusal is None:
        assert rows == expected
        return "whole"
    assert refusal.exit_code == ExitCode.CONFIG
    assert str(wreck.path) in str(refusal)
    assert refusal.hint
    return "refused"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def newer_format(wreck: Wreck) -> None:
    marker = json.loads((wreck.path / "store.json").read_text())
    (wreck.path / "store.json").write_text(json.dumps(marker | {"format": 2}))


def other_id(wreck: Wreck) -> None:
    (wreck.path / "store.json").write_text(json.dumps({"format": 1, "id": "another"}))


def empty_database(wreck: Wreck) -> None:
    other = wreck.path.with_name("other")
    LevelDbStore.create(other)
    shutil.rmtree(wreck.db)
    (other / "db").rename(wreck.db)


def earlier_database(wreck: Wreck) -> None:
    """The whole folder db/ is put back as it was some batches ago."""
    shutil.rmtree(wreck.path)
    LevelDbStore.create(wreck.path)

    async def grow(rows: dict[bytes, bytes]) -> None:
        store = LevelDbStore.open(wreck.path)
        await store.write([Put(key, value) for key, value in rows.items()])
        await store.aclose()

    trio.run(grow, {})
    shutil.copytree(wreck.db, earlier := wreck.path / "earlier")
    trio.run(grow, ROWS)
    shutil.rmtree(wreck.db)
    earlier.rename(wreck.db)


def zeroed_sector(wreck: Wreck) -> None:
    """A block of the log reads as zeros: LevelDB skips it without a word."""
    log = wreck.one("*.log")
    data = bytearray(log.read_bytes())
    data[0:512] = bytes(512)
    log.write_bytes(data)


Damage = Callable[[Wreck], object]
REFUSED: dict[str, Damage] = {
    "CURRENT removed": lambda w: (w.db / "CURRENT").unlink(),
    "CURRENT empty": lambda w: (w.db / "CURRENT").write_text(""),
    "CURRENT names what is not there": lambda w: (w.db / "CURRENT").write_text("MANIFEST-000999\n"),
    "CURRENT is no text": lambda w: (w.db / "CURRENT").write_bytes(b"\xff\xfe\n"),
    "MANIFEST removed": lambda w: w.one("MANIFEST*").unlink(),
    "MANIFEST flipped": lambda w: flip(w.one("MANIFEST*"), 20),
    "MANIFEST empty": lambda w: w.one("MANIFEST*").write_bytes(b""),
    "log removed": lambda w: w.one("*.log").unlink(),
    "log empty": lambda w: w.one("*.log").write_bytes(b""),
    "log flipped": lambda w: flip(w.one("*.log"), 2000),
    "log cut by 1": lambda w: cut(w.one("*.log"), 1),
    "log cut by 150": lambda w: cut(w.one("*.log"), 150),
    "log cut by 5000": lambda w: cut(w.one("*.log"), 5000),
    "log with a sector of zeros": zeroed_sector,
    "table removed": lambda w: w.one("*.ldb").unlink(),
    "table empty": lambda w: w.one("*.ldb").write_bytes(b""),
    "table cut": lambda w: cut(w.one("*.ldb"), 1),
    "table flipped": lambda w: flip(w.one("*.ldb"), 2000),
    "footer of a table flipped": lambda w: flip(w.one("*.ldb"), -1),
    "database removed": lambda w: shutil.rmtree(w.db),
    "another, empty database": empty_database,
    "an earlier database": earlier_database,
    "store.json removed": lambda w: (w.path / "store.json").unlink(),
    "store.json is no JSON": lambda w: (w.path / "store.json").write_text("{"),
    "store.json is something else": lambda w: (w.path / "store.json").write_text("[1, 2]"),
    "store.json nests without end": lambda w: (w.path / "store.json").write_text("[" * 10**5),
    "store.json of a newer format": newer_format,
    "store.json of another store": other_id,
}
HARMLESS: dict[str, Damage] = {
    "nothing": lambda w: None,
    "zeros after the log": lambda w: w.one("*.log").write_bytes(
        w.one("*.log").read_bytes() + bytes(5000)
    ),
    "the lock removed": lambda w: (w.path / "lock").unlink(missing_ok=True),
    "LOG removed": lambda w: (w.db / "LOG").unlink(),
    "the watermark removed": lambda w: (w.path / "watermark").unlink(),
    "the watermark garbled": lambda w: (w.path / "watermark").write_bytes(b"\xff" * 100),
    "a trial left over": lambda w: shutil.copytree(w.db, w.path / "trial"),
    "a stray file": lambda w: (w.db / "notes.txt").write_text("hello"),
}


@pytest.mark.parametrize("damage", REFUSED.values(), ids=REFUSED.keys())
def test_damage_is_refused(wreck: Wreck, damage: Damage) -> None:
    damage(wreck)
    assert outcome(wreck) == "refused"


@pytest.mark.parametrize("damage", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_is_no_damage_is_not_refused(wreck: Wreck, damage: Damage) -> None:
    damage(wreck)
    assert outcome(wreck) == "whole"


def test_a_manifest_cut_anywhere_is_noticed_or_harmless(ram_path: Path) -> None:
    """LevelDB opens most of these without a word, and deletes the tables after the cut."""
    many = {b"k%06d" % i: hashlib.shake_128(b"%d" % i).digest(300) for i in range(2000)}
    place = OnDisk(ram_path / "whole")
    trio.run(fill, place, many, False)
    size = Wreck(place.path, False).one("MANIFEST*").stat().st_size
    ends = []
    for kept in range(0, size, size // 40):
        wreck = Wreck(ram_path / f"cut at {kept}", was_closed=False)
        shutil.copytree(place.path, wreck.path)
        manifest = wreck.one("MANIFEST*")
        manifest.write_bytes(manifest.read_bytes()[:kept])
        ends.append(outcome(wreck, many))
    assert ends.count("refused") > 35  # at its very end there may be nothing that is missed


def test_a_flipped_byte_anywhere_is_noticed_or_harmless(
    models: dict[bool, Path], ram_path: Path
) -> None:
    chance = random.Random(1)
    ends = []
    for i in range(150):
        wreck = copied(models, ram_path / str(i), was_closed=chance.random() < 0.5)
        files = sorted(each for each in wreck.path.rglob("*") if each.is_file())
        file = chance.choice([each for each in files if each.stat().st_size and each.name != "LOG"])
        flip(file, chance.randrange(file.stat().st_size))
        ends.append(outcome(wreck))
    assert ends.count("refused") > 75


@pytest.mark.parametrize("damage", REFUSED.values(), ids=REFUSED.keys())
def test_a_check_finds_all_damage(wreck: Wreck, damage: Damage) -> None:
    damage(wreck)
    try:
        report = check(wreck.path)
    except LocalError as error:  # without store.json it can't even begin
        assert "store.json" in str(error) or "format" in str(error)  # noqa: PT017
    else:
        assert report.damage is not None


@pytest.mark.parametrize("pattern", ["*.log", "*.ldb", "MANIFEST*"])
def test_a_check_names_the_damaged_file_and_changes_nothing(wreck: Wreck, pattern: str) -> None:
    file = wreck.one(pattern)
    flip(file, 20)
    found = wreck.contents()
    report = check(wreck.path)
    assert report.damage is not None
    assert file.name in f"{report.damage} {report.damaged_files}"
    assert wreck.contents() == found


def test_a_check_reads_everything(wreck: Wreck) -> None:
    told: list[int] = []
    report = check(wreck.path, progress=told.append)
    assert report.damage is None
    assert report.records == len(ROWS) + 2  # and what the store keeps for itself
    assert report.bytes > 300 * len(ROWS)
    assert report.commit == len(ROWS) // 20


MENDED = {
    "nothing": lambda w: None,
    "CURRENT removed": lambda w: (w.db / "CURRENT").unlink(),
    "MANIFEST removed": lambda w: w.one("MANIFEST*").unlink(),
    "MANIFEST cut": lambda w: cut(w.one("MANIFEST*"), 500),
    "store.json removed": lambda w: (w.path / "store.json").unlink(),
    "a repair that was cut off": lambda w: w.db.rename(w.path / "damaged-1"),
}


@pytest.mark.parametrize("damage", MENDED.values(), ids=MENDED.keys())
def test_a_repair_brings_back_all_records_if_none_was_hurt(wreck: Wreck, damage: Damage) -> None:
    damage(wreck)
    done = repair(wreck.path)
    assert done.records == len(ROWS) + 2
    assert done.batches_lost_min == 0
    store = LevelDbStore.open(wreck.path)
    assert dict(store.scan(b"k", b"l", limit=10**6)) == ROWS
    assert not store.was_clean, "the node asks its peers again"
    trio.run(store.aclose)


def test_a_repair_cuts_a_log_where_it_is_damaged(wreck: Wreck) -> None:
    """LevelDB's own repair would take over the damaged record."""
    flip(wreck.one("*.log"), 2000)
    found = wreck.contents()
    done = repair(wreck.path)
    assert done.batches_lost_min > 0
    assert done.put_aside.name == "damaged-1"
    assert Wreck(wreck.path, wreck.was_closed).contents().keys() > {str(done.put_aside / "CURRENT")}
    assert set(found.values()) <= set(wreck.contents().values()) | {
        found[str(wreck.path / "watermark")]
    }
    store = LevelDbStore.open(wreck.path)
    rows = dict(store.scan(b"k", b"l", limit=10**6))
    trio.run(store.aclose)
    assert rows.items() < ROWS.items()
    assert sorted(rows) == sorted(ROWS)[: len(rows)], "a whole number of batches, none in between"
    assert len(rows) % 20 == 0


def test_a_repair_keeps_what_it_can_read_of_a_damaged_table(wreck: Wreck) -> None:
    table = wreck.one("*.ldb")
    flip(table, 200)
    done = repair(wreck.path)
    assert done.damaged_files == (table.name,)
    store = LevelDbStore.open(wreck.path)
    rows = dict(store.scan(b"k", b"l", limit=10**6))
    trio.run(store.aclose)
    assert rows.items() < ROWS.items()
    assert len(rows) > 0.9 * len(ROWS)
    assert check(wreck.path).damage is None


@pytest.mark.parametrize("order", ["old log first", "new log first"])
async def test_a_repair_never_brings_an_old_value_to_the_top(ram_path: Path, order: str) -> None:
    """With more than one log, LevelDB's repair alone may put the older values above the newer."""
    place = OnDisk(ram_path / "store")
    logs = list[tuple[str, bytes]]()
    for value in (b"old", b"new"):
        async with place.open() as store:
            await store.write([Put(b"k", value)])
        log = Wreck(place.path, True).one("*.log")
        logs.append((log.name, log.read_bytes()))
    (place.path / "db" / logs[1][0]).unlink()
    for name, data in logs if order == "old log first" else logs[::-1]:
        (place.path / "db" / name).write_bytes(data)
    assert repair(place.path).commit == 2
    async with place.open() as store:
        assert store.get(b"k") == b"new"
        assert store.commit == 2


def test_there_is_nothing_to_repair_where_there_is_no_store(ram_path: Path) -> None:
    with pytest.raises(LocalError, match="nothing to repair"):
        repair(ram_path)
