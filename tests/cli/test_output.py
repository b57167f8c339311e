import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qbix_node.cli.output import Output, Progress, duration_text, printable, size_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (300_000, "293 KiB"), (5 << 20, "5.0 MiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (3700, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_what_peers_write_can_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\rc\nd\u202e") == "a\\x1b[2Jb\\rc\nd\\u202e"


@given(st.text())
def test_any_text_becomes_printable(text: str) -> None:
    assert printable(text).replace("\n", "").isprintable()


def test_half_of_a_pair_is_printed_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Output().text("half \ud800")
    assert capsys.readouterr().out == "half ?\n"


def test_people_get_text_and_programs_json(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output()
    out.show({"a": 1}, ["one", "two"])
    out.json = True
    out.show({"a": 1}, ["one", "two"])
    assert capsys.readouterr().out == 'one\ntwo\n{"a":1}\n'


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Output().paint("well", "green") == "well"
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Output().paint("well", "green") == "\x1b[32mwell\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Output().paint("well", "green") == "well"


def test_progress_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", pipe := io.StringIO())
    with Output().progress("checked") as progress:
        progress.at("500 messages")
    assert pipe.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Output().progress("checked") as progress:
        progress.at("500 messages")
        progress.at("500 messages")
    assert terminal.getvalue() == "\r\x1b[Kchecked: 500 messages\r\x1b[K"


def test_progress_that_was_never_made_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    Progress("checked", visible=True).clear()
    assert terminal.getvalue() == ""
