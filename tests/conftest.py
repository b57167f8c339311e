"""What holds for every test: no unexpected error in the log, and repeatable hypothesis runs."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings
from structlog.testing import capture_logs

# Repeatable by default, so that a run on the same code ends the same way anywhere;
# `pytest --hypothesis-profile=explore` looks for new examples.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("steady")

ERRORS = ("error", "critical")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "expects_error_log(event, ...): errors that the test provokes"
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="with the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture(autouse=True)
def no_unexpected_error_in_the_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """A line at error level fails the test, unless `expects_error_log` names its event."""
    expected = {
        name for mark in request.node.iter_markers("expects_error_log") for name in mark.args
    }
    others = _ErrorRecords()
    logging.getLogger().addHandler(others)
    try:
        with capture_logs() as lines:
            yield
    finally:
        logging.getLogger().removeHandler(others)
    for line in lines:
        print(line)  # shown by pytest if the test failed
    errors = [line["event"] for line in lines if line["log_level"] in ERRORS] + others.messages
    unexpected = [error for error in errors if error not in expected]
    assert not unexpected


class _ErrorRecords(logging.Handler):
    """Errors that libraries log by the standard library's logging."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
