"""What a report is made of: its data, thinned and harmless, and its one file."""

import base64
import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest

from netsim.report import render
from netsim.report.page import bundle
from netsim.report.thinning import thin
from netsim.trace import RECORD, Kind, unpack
from qbix_node.errors import BadInput
from tests.netsim.report_example import PLAN, everything, packed, write_trace

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028{{script}}"


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


def test_the_same_trace_gives_the_same_page(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "run.zip")
    assert render([trace]) == render([trace])


def test_a_page_refers_to_nothing_outside(tmp_path: Path) -> None:
    page = render([write_trace(tmp_path / "run.zip")])
    page = page.replace("http://www.w3.org/2000/svg", "")  # the name of SVG, not a place
    assert not re.search(r"https?:|\bsrc=|url\(|@import|\bimport\b[ (]", page)


def test_its_policy_lets_only_its_own_script_and_style_act(tmp_path: Path) -> None:
    page = render([write_trace(tmp_path / "run.zip")])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy
    for tag in ("script", "style"):
        source = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(source) == 1
        digest = base64.b64encode(hashlib.sha256(source[0].encode()).digest()).decode()
        assert f"{tag}-src &#x27;sha256-{digest}&#x27;" in policy[1]
    assert policy[1].startswith("default-src &#x27;none&#x27;")


def test_what_strangers_wrote_never_becomes_markup(tmp_path: Path) -> None:
    plan = {"scenario": HOSTILE, "nodes": [{"number": 0, "role": HOSTILE}]}
    violation = {"check": HOSTILE, "what": HOSTILE, "spec": HOSTILE, "at_s": 1.0, "node": 0}
    trace = write_trace(
        tmp_path / "run.zip",
        header={"plan": plan, "commit": HOSTILE, "command": HOSTILE, "message_names": [HOSTILE]},
        result={"violations": [violation]},
    )
    page = render([trace])
    assert "<img" not in page
    assert page.count("<script") == page.count("</script>") == 3
    assert data_of(page)["scenario"] == HOSTILE


def test_fields_of_other_types_are_unknown_and_the_rest_stands(tmp_path: Path) -> None:
    header = {"plan": {"nodes": [{"number": "x", "follows": [1, "y", None]}, 7]}, "commit": ["a"]}
    result = {"violations": {"a": 1}, "cpu_s": 1e999, "messages": True, "forks": 3}
    data = data_of(render([write_trace(tmp_path / "run.zip", header=header, result=result)]))
    assert data["plan"] == {
        "duration": 0.0,
        "operations": [],
        "faults": [],
        "nodes": [{"number": 0, "role": "honest", "follows": [1]}],
    }
    assert data["commit"] == ""
    shown = data["result"]
    assert isinstance(shown, dict)
    assert shown["cpu"] is None
    assert shown["messages"] is None


def test_a_seed_keeps_all_its_digits(tmp_path: Path) -> None:
    data = data_of(render([write_trace(tmp_path / "run.zip")]))
    assert data["seed"] == str(PLAN.seed) == "9223372036854775815"


@pytest.mark.parametrize("lacks", ["header.json", "records.bin", "result.json"])
def test_a_zip_that_is_no_trace_is_refused(tmp_path: Path, lacks: str) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in {"header.json", "records.bin", "result.json"} - {lacks}:
            file.writestr(name, "{}" if name.endswith("json") else b"")
    with pytest.raises(BadInput, match="no trace"):
        render([path])


def test_records_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (("header.json", "{}"), ("result.json", "{}"), ("records.bin", "x")):
            file.writestr(name, content)
    with pytest.raises(BadInput, match="cut off"):
        render([path])


def test_a_trace_is_not_shown_beside_others(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "run.zip")
    with pytest.raises(BadInput, match="alone"):
        render([trace, trace])


def test_a_short_trace_is_whole() -> None:
    records = packed(everything())
    assert thin(records).records == records


def test_a_long_trace_loses_packets_first_and_whole_journeys() -> None:
    rows = everything()
    others = [row for row in rows if row.kind > Kind.DROPPED]
    thinned = thin(packed(rows), records_max=len(others) + 800)
    left = list(unpack(thinned.records))
    assert len(left) <= (len(others) + 800) * 1.1
    assert thinned.packets == 4
    assert [row for row in left if row.kind > Kind.DROPPED] == others
    sent = sum(row.kind is Kind.SENT for row in left)
    assert sent == sum(row.kind in (Kind.DELIVERED, Kind.DROPPED) for row in left) > 100


def test_a_trace_that_is_longer_still_keeps_the_last_append_of_each_feed() -> None:
    rows = [row for row in everything() if row.kind is not Kind.APPENDED or row.value < 8]
    last = {(r.node, r.subject): r.value for r in rows if r.kind is Kind.APPENDED}
    thinned = thin(packed(rows), records_max=500)
    left = list(unpack(thinned.records))
    assert thinned.packets == 0
    assert thinned.appends > 1
    assert {(r.node, r.subject): r.value for r in left if r.kind is Kind.APPENDED} == last
    assert len(thinned.records) % RECORD.size == 0


def test_modules_stand_in_one_script_each_after_what_it_needs() -> None:
    for entry in ("run", "sweep"):
        script = bundle(entry)
        assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
        defined = re.findall(r"^const module_(\w+) = ", script, re.MULTILINE)
        assert len(defined) == len(set(defined))
        for line in script.splitlines():
            if needed := re.fullmatch(r".*\} = module_(\w+);", line):
                assert script.index(f"const module_{needed[1]} =") < script.index(line)
