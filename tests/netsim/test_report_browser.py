"""A report as a browser shows it, and what its scripts make of records."""

import html
import json
import random
import re
import shutil
import subprocess
import zipfile
import zlib
from base64 import b64encode
from pathlib import Path

import pytest

from netsim.plan import Do, Fault
from netsim.report import render
from netsim.trace import MESSAGE_NAMES, NOBODY, Kind, Record, unpack
from tests.netsim.report_example import EQUIVOCATOR, VIOLATION, everything, packed, write_trace
from tests.netsim.test_report import HOSTILE, data_of
from tests.netsim.test_report_sweep import result, write

ASSETS = Path(__file__).parents[2] / "netsim" / "report" / "assets"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
NODE = shutil.which("node") or ""
needs_browser = pytest.mark.skipif(
    not BROWSER, reason="needs chromium or google-chrome in PATH (apt-get install chromium)"
)
needs_node = pytest.mark.skipif(not NODE, reason="needs node")


def show(page: str, folder: Path, hashed: str = "") -> str:
    """The page after its scripts have run. Fails if the console has anything to say."""
    file = folder / "report.html"
    file.write_text(page, encoding="utf-8")
    command = [
        *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *("--enable-logging=stderr", "--virtual-time-budget=8000", "--window-size=1200,900"),
        *(f"--user-data-dir={folder / 'profile'}", f"{file.as_uri()}{hashed}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in done.stderr.splitlines() if ":CONSOLE" in line] == []
    return done.stdout


def ask(page: str, folder: Path, script: str, *, width: int = 1200) -> object:
    """What the function body `script` returns in a page that has drawn itself.

    The page stands in a frame: a window of its own is never as narrow as a telephone.
    """
    page = re.sub(r"<meta http-equiv=[^>]*>", "", page)  # its policy would not let us in
    asking = (
        "<script>setTimeout(() => { parent.document.body.dataset.told ="
        f" JSON.stringify((() => {{ {script} }})()); }}, 2000)</script>"
    )
    framed = html.escape(page.replace("</body>", f"{asking}</body>"))
    shown = show(f'<body><iframe srcdoc="{framed}" width={width} height=800 frameborder=0>', folder)
    told = re.search(r'data-told="([^"]*)"', shown)
    assert told
    found: object = json.loads(html.unescape(told[1]))
    return found


def words(page: str) -> str:
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", shown)))


@needs_browser
def test_a_browser_shows_what_happened_in_a_run(tmp_path: Path) -> None:
    offered = MESSAGE_NAMES.index("Offered")
    sent = sum(row.kind is Kind.SENT and row.subject == offered for row in everything())
    page = words(show(render([write_trace(tmp_path / "run.zip")]), tmp_path, "#t=16&node=2"))
    for fact in (
        "all_at_once red: 1 rule broken seed 9223372036854775815",
        "“no acknowledged message is lost” does not hold: message 3 of node 5 is gone",
        "spec/storage.md 2: What was acknowledged survives.",
        "python -m netsim run all_at_once --seed 9223372036854775815",
        "At 16.00 s: 10 of 10 nodes up, 25 connections",
        "Now: partition (0\u20132), disk full (4), packets get lost (20 % of packets) (all).",
        "node 2 refused message 3 of node 9 (equivocator) from node 9 (equivocator)",
        "node 9 at 22.00 s: 9 of 9 honest nodes know",
        f"Offered ({sent})",
    ):
        assert fact in page


@needs_browser
def test_a_browser_shows_a_run_of_which_nothing_is_known(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "run.zip", rows=[], header={"plan": {}}, result={})
    assert "of virtual time" in words(show(render([trace]), tmp_path))


@needs_browser
def test_a_browser_shows_records_that_make_no_sense(tmp_path: Path) -> None:
    chance = random.Random(5)

    def some() -> int:
        return chance.choice([0, 1, 2**31, NOBODY])

    rows = [
        Record(float(at), kind, some(), some(), some(), 2**64 - 1)
        for at, kind in enumerate(list(Kind) * 3)
    ]
    page = words(show(render([write_trace(tmp_path / "run.zip", rows=rows)]), tmp_path))
    assert "What happened" in page


@needs_browser
def test_hostile_names_are_shown_as_they_are(tmp_path: Path) -> None:
    plan = {"scenario": HOSTILE, "nodes": [{"number": 0, "role": HOSTILE}]}
    violation = {"check": HOSTILE, "what": HOSTILE, "spec": HOSTILE, "at_s": 1.0, "node": 0}
    trace = write_trace(
        tmp_path / "run.zip",
        header={
            "plan": plan,
            "commit": HOSTILE,
            "command": HOSTILE,
            "message_names": [HOSTILE] * 9,
        },
        result={"violations": [violation]},
    )
    shown = show(render([trace]), tmp_path)
    assert "<img" not in shown
    assert shown.count("<script") == 3
    assert HOSTILE in html.unescape(shown)


@needs_browser
def test_a_browser_shows_what_a_sweep_found(tmp_path: Path) -> None:
    broken = {"check": "nothing is lost", "what": HOSTILE}
    results = [result(seed) for seed in range(60)]
    path = write(tmp_path / "s.jsonl", *results, result(60, exit=10, violations=[broken]))
    shown = show(render([path]), tmp_path)
    page = words(shown)
    assert "<img" not in shown
    for fact in (
        "Sweep of swarm red: 1 of 61 seeds failed",
        "seed 60: nothing is lost: ",
        "python -m netsim run swarm --seed 60",
        "disk full \u2013 too rare 0.0 % 0.0 to 5.9 %",
        "1 of 61 seeds failed. Of all seeds that could be run, between 0.3 % and 8.7 % would",
        "61 of 61 forked feeds proven to honest nodes",
        "half up to 10 s, 90 % up to 10 s, 99 % up to 10 s",
        "61 seeds in which a forked feed was proven",
    ):
        assert fact in page


@needs_browser
def test_a_browser_says_never_of_what_never_became_calm(tmp_path: Path) -> None:
    stalled = {"exit": 11, "liveness": "stalled", "stalled": ["node 4 lacks a feed"]}
    trace = write_trace(tmp_path / "run.zip", result=stalled)
    assert "never calm, in 15 s after the end of faults" in words(show(render([trace]), tmp_path))
    page = words(show(render([write(tmp_path / "s.jsonl", result(0, **stalled))]), tmp_path))
    assert "from the end of faults to calm never in 1 of 1 seed" in page


@needs_browser
def test_a_browser_says_of_a_lone_shard_what_is_left_open(tmp_path: Path) -> None:
    page = words(show(render([write(tmp_path / "s.jsonl", result(0), result(3))]), tmp_path))
    assert "green so far: 2 seeds, others are missing" in page
    assert "2 seeds are not in these files" in page
    assert "too rare 0.0 %" not in page


@needs_browser
def test_no_report_is_wider_than_a_telephone(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "run.zip")
    two = [Record(22.0 + node, Kind.FORK_FOUND, node, NOBODY, 9, 4) for node in range(2)]
    green = {"safety": "ok", "violations": []}
    fork = write_trace(tmp_path / "fork.zip", rows=two, result=green)  # has a long button
    sweep = write(tmp_path / "s.jsonl", *map(result, range(3)))
    script = "const root = document.documentElement; return root.scrollWidth - root.clientWidth"
    for file in (fork, trace, sweep):
        assert ask(render([file]), tmp_path, script, width=360) == 0, file


@needs_browser
def test_a_long_list_of_troubles_leaves_room_and_leads_to_the_lanes(tmp_path: Path) -> None:
    violations = [VIOLATION | {"what": f"message {number} is gone"} for number in range(29)]
    page = render([write_trace(tmp_path / "run.zip", result={"violations": violations})])
    told = ask(
        page,
        tmp_path,
        """
        const items = [...document.querySelectorAll(".alert li")];
        const seen = items.filter((item) => item.checkVisibility());
        const more = document.querySelector(".alert summary").textContent;
        document.querySelector(".alert button").click();
        const { top } = document.getElementById("lanes").getBoundingClientRect();
        return [seen.length, more, top >= 0 && top < innerHeight / 2];
        """,
    )
    assert told == [5, "Show all 29", True]


def run_node(script: str) -> object:
    command = [NODE, "--input-type=module", "-"]
    done = subprocess.run(
        command, input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found: object = json.loads(done.stdout)
    return found


def importing(*names: str) -> str:
    return "".join(
        f"import {{ {name} }} from {json.dumps((ASSETS / module).as_uri())};\n"
        for module, name in (each.split(":") for each in names)
    )


@needs_node
def test_scripts_read_the_same_records_as_python() -> None:
    chance = random.Random(3)
    rows = [
        Record(
            chance.random() * 1e6,
            chance.choice(list(Kind)),
            chance.choice([0, 7, 70_000]),
            chance.choice([1, 8, 2**31, NOBODY]),
            chance.choice([2, 9, NOBODY]),
            chance.randrange(2**53),
        )
        for _ in range(500)
    ]
    text = b64encode(zlib.compress(packed(rows))).decode()
    read = run_node(
        importing("records.mjs:unpackRecords")
        + f"const r = await unpackRecords({json.dumps(text)});\n"
        + "const columns = [r.at, r.kind, r.node, r.peer, r.subject, r.value];\n"
        + "console.log(JSON.stringify([...r.at].map((_, i) => columns.map((c) => c[i]))));\n"
    )
    assert read == [list(row) for row in unpack(packed(rows))]


def tell(trace: Path, script: str) -> object:
    """What a script finds in `history` and `convergence`; it says so by `told`."""
    with zipfile.ZipFile(trace) as file:
        text = b64encode(zlib.compress(file.read("records.bin"))).decode()
    return run_node(
        importing("records.mjs:unpackRecords", "history.mjs:History", "convergence.mjs:Convergence")
        + f"const records = await unpackRecords({json.dumps(text)});\n"
        + f"const history = new History(records, {json.dumps(data_of(render([trace])))});\n"
        + "const convergence = new Convergence(history);\n"
        + f"{script}\nconsole.log(JSON.stringify(told));\n"
    )


@needs_node
def test_scripts_follow_each_packet_to_its_end(tmp_path: Path) -> None:
    told = tell(
        write_trace(tmp_path / "run.zip"),
        """
        const { sent, ended, fate } = history.packets;
        const some = (which) => fate.filter((each) => each === which).length;
        const told = [some(0), some(1), some(2), sent.filter((at, i) => ended[i] < at).length];
        """,
    )
    kinds = [row.kind for row in everything()]
    assert told == [0, kinds.count(Kind.DELIVERED), kinds.count(Kind.DROPPED), 0]


@needs_node
def test_scripts_tell_who_knows_of_a_fork_and_who_was_up(tmp_path: Path) -> None:
    told = tell(
        write_trace(tmp_path / "run.zip"),
        """
        const [{ author, made, known }] = convergence.forks;
        const told = [author, made, known.length, history.nodes[6].up];
        """,
    )
    assert told == [EQUIVOCATOR, 22, 9, [[0, 20], [25, 60]]]


@needs_node
def test_scripts_tell_how_complete_nodes_are(tmp_path: Path) -> None:
    told = tell(
        write_trace(tmp_path / "run.zip"),
        """
        const appended = convergence.appended.reduce((sum, [, some]) => sum + some, 0);
        const told = [...[0, 17, 60].map((at) => convergence.shareAt(at)), appended];
        """,
    )
    assert isinstance(told, list)
    start, during, end, appended = told
    assert (start, end) == (1, 1)
    assert 0.3 < during < 0.6  # a partition of three and seven
    assert appended == sum(row.kind is Kind.APPENDED for row in everything())


@needs_node
def test_scripts_have_words_for_every_fault_and_a_clean_restart_is_no_failure() -> None:
    faults = [fault.value for fault in Fault]
    told = run_node(
        importing("faults.mjs:groupOf", "faults.mjs:faultWords")
        + f"const faults = {json.dumps(faults)};\n"
        + "const words = (fault) => faultWords({ fault, amount: 0 }).includes('_');\n"
        + "console.log(JSON.stringify([faults.map(groupOf), faults.filter(words)]));\n"
    )
    assert isinstance(told, list)
    groups = dict(zip(faults, told[0], strict=True))
    assert [fault for fault, group in groups.items() if group == "outage"] == ["crash", "power_cut"]
    assert groups["restart"] == "restart"
    assert told[1] == []


@needs_node
def test_scripts_tell_why_somebody_lacks_something_at_the_end(tmp_path: Path) -> None:
    everybody = [{"number": node, "follows": [0]} for node in range(3)]
    plan = {"nodes": [*everybody, {"number": 3, "follows": []}, {"number": 4, "follows": [0]}]}
    rows = [Record(0.0, Kind.STARTED, node, NOBODY, NOBODY, 1) for node in range(5)]
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 4)):
        rows += [Record(0.5, Kind.LINK_UP, *pair, 1, 0) for pair in ((one, other), (other, one))]
    rows.append(Record(1.0, Kind.PUBLISHED, 0, NOBODY, 0, 1))
    rows.append(Record(2.0, Kind.APPENDED, 1, 0, 0, 1))
    trace = write_trace(tmp_path / "run.zip", rows=rows, header={"plan": plan}, result={})
    told = tell(trace, "const told = convergence.lacking();")
    assert told == [
        {"feed": 0, "places": [2], "reach": True},
        {"feed": 0, "places": [4], "reach": False},  # node 3 does not follow node 0
    ]


@needs_node
def test_who_goes_back_in_time_or_stops_following_is_seen(tmp_path: Path) -> None:
    plan = {
        "nodes": [{"number": 0, "follows": [1]}, {"number": 1}],
        "operations": [{"at_s": 9.0, "node": 0, "do": "unfollow", "target": 1}],
        "faults": [{"at_s": 6.0, "for_s": 1.0, "fault": "roll_back", "nodes": [0], "amount": 2.5}],
    }
    rows = [
        *[Record(0.0, Kind.STARTED, node, NOBODY, NOBODY, 1) for node in (0, 1)],
        Record(1.0, Kind.PUBLISHED, 1, NOBODY, 1, 1),
        Record(2.0, Kind.APPENDED, 0, 1, 1, 1),
        Record(4.0, Kind.PUBLISHED, 1, NOBODY, 1, 2),
        Record(5.0, Kind.APPENDED, 0, 1, 1, 2),
        Record(6.0, Kind.FAULT_BEGAN, 0, NOBODY, 0, 0),
        Record(7.0, Kind.ROLLED_BACK, 0, NOBODY, NOBODY, 1),
        Record(7.0, Kind.FAULT_ENDED, 0, NOBODY, 0, 0),
        Record(9.0, Kind.ASKED, 0, NOBODY, list(Do).index(Do.UNFOLLOW), 0),
        Record(10.0, Kind.FOUND, 0, NOBODY, 0, 0),
    ]
    trace = write_trace(tmp_path / "run.zip", rows=rows, header={"plan": plan})
    moments = [0.5, 1.5, 3, 4.5, 5.5, 8, 9.5]
    told = tell(trace, f"const told = {moments}.map((at) => convergence.shareAt(at));")
    assert told == [1, 0, 1, 0, 1, 0, None]
