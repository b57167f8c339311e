"""The frame of all commands: help, exit codes, errors, and how fast it starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qbix_node.cli.main import run
from qbix_node.errors import BadInput, ConfigError, ExitCode, LocalError, Malformed, Temporary

COMMAND = [sys.executable, "-m", "qbix_node"]
HEAVY = ("trio", "httpx", "plyvel", "nacl", "structlog", "starlette", "hypercorn")


@pytest.fixture(autouse=True)
def _no_home_of_the_person_who_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QBIX_HOME", str(tmp_path / "home"))


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    for name in ("init", "run", "status", "id", "doctor", "peer", "follow", "unfollow"):
        assert f"\n  {name} " in told
    for name in ("following", "feed", "stream", "fork", "blob", "store", "demo"):
        assert f"\n  {name} " in told


@pytest.mark.parametrize(
    "command",
    [
        *(["init"], ["run"], ["status"], ["id"], ["doctor"], ["follow"], ["demo"]),
        *(["peer", "add"], ["peer", "list"], ["peer", "remove"], ["peer", "block"]),
        *(["feed", "publish"], ["feed", "log"], ["feed", "verify"], ["feed", "resume"]),
        *(["stream", "create"], ["stream", "append"], ["stream", "list"], ["stream", "show"]),
        *(["stream", "log"], ["stream", "get"], ["stream", "verify"], ["stream", "prove"]),
        *(["stream", "export"], ["stream", "import"], ["fork", "verify"]),
        *(["blob", "add"], ["blob", "get"], ["blob", "list"], ["blob", "remove"]),
        ["store", "check"],
    ],
    ids=" ".join,
)
def test_every_command_explains_itself(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    told = capsys.readouterr().out
    assert "--json" in told
    assert "--home" in told


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from qbix_node.cli.main import run\n"
        "run(['--help'])\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert set(HEAVY) & set(ended.stderr.split()) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["nosuch"],
        ["--nosuch"],
        ["feed", "log"],
        ["feed", "log", "@x", "--from", "0"],
        ["feed", "publish"],
        ["feed", "publish", "--content", "{}", "--file", "x"],
        ["blob", "get", "&x", "--json"],
        ["demo", "--nodes", "1"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == ExitCode.USAGE
    assert "Usage: qbix-node" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["follow", "@abc"], "no feed id"),
        (["peer", "add", "example.org"], "no address of a peer"),
        (["peer", "add", "example.org"], "or its key alone"),
        (["peer", "block", "%x"], "no feed id"),
        (["dht", "lookup", "example.org"], "or a stream's id, ssb:feed/qbix-v1/"),
        (["feed", "publish", "--content", "{"], "--content: not JSON"),
        (["feed", "publish", "--file", "/nowhere/at/all"], "No such file"),
        (["blob", "add", "/nowhere/at/all"], "No such file"),
        (["blob", "get", "&abc"], "no blob id"),
        (["init", "--listen", "here"], "no HOST:PORT"),
        (["init", "--network-key", "abc"], "32 bytes in base64"),
        (["init", "--secret", "/nowhere/at/all"], "No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_ends_with_65(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.BAD_INPUT
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert reason in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["following"],
        ["peer", "list"],
        ["feed", "publish", "--content", '{"type": "test"}'],
        ["blob", "list"],
    ],
    ids=" ".join,
)
def test_without_a_daemon_they_end_with_69(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == ExitCode.NOT_RUNNING
    assert "start it: qbix-node run" in capsys.readouterr().err


def test_the_home_of_nobody_ends_with_78(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", "~nosuchuser/x", "status"]) == ExitCode.CONFIG
    assert "~nosuchuser/x: no such user" in capsys.readouterr().err


def test_a_home_too_long_for_a_socket_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path / ("x" * 100)), "status"]) == ExitCode.CONFIG
    told = capsys.readouterr().err
    assert "longer than the 107 bytes that a unix socket may have" in told
    assert "choose a home with a shorter path" in told


def test_the_doctor_counts_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == ExitCode.REFUSED
    assert capsys.readouterr().out.endswith("\n1 thing is wrong\n")


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]])
def test_output_that_can_not_be_written_ends_with_75(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [*COMMAND, *arguments], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    told = "error: the output can't be written: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (ExitCode.TEMPORARY, told)


@pytest.mark.parametrize("lost", ["2>/dev/full", "2>&-", ">&-"])
@pytest.mark.parametrize(
    ("command", "code"), [("status", ExitCode.NOT_RUNNING), ("nosuch", ExitCode.USAGE)]
)
def test_an_error_has_its_exit_code_whoever_hears_of_it(command: str, code: int, lost: str) -> None:
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {lost}', "sh", *COMMAND, command],
        check=False,
        capture_output=True,
    )
    assert ended.returncode == code


def test_shared_options_stand_before_or_after_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path / "a"), "--json", "status"]) == ExitCode.NOT_RUNNING
    assert run(["status", "--home", str(tmp_path / "b"), "--json"]) == ExitCode.NOT_RUNNING
    told = capsys.readouterr().err
    assert str(tmp_path / "a" / "control.sock") in told
    assert str(tmp_path / "b" / "control.sock") in told


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LocalError("no"), 1),
        (BadInput("no"), 65),
        (Malformed("no"), 65),
        (Temporary("no"), 75),
        (ConfigError("no"), 78),
    ],
)
def test_each_error_has_its_exit_code(
    error: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("qbix_node.cli.main.commands.main", fail)
    assert run(["status"]) == code
    assert capsys.readouterr().err == "error: no\n"


def test_a_bug_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr("qbix_node.cli.main.commands.main", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run(["status"]) == ExitCode.BUG
    told = capsys.readouterr().err
    assert "Traceback" not in told
    (details,) = tmp_path.glob("qbix-node-*.log")
    assert str(details) in told
    assert "Traceback" in details.read_text()


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    """As in `qbix-node feed log | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [*COMMAND, "init"], check=False, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_errors_do_not_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(tmp_path / "\x1b[31m")
    assert run(["--home", home, "run"]) == ExitCode.CONFIG
    told = capsys.readouterr().err
    assert "\\x1b[31m" in told
    assert "\x1b" not in told
