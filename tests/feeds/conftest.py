import pytest

from tests.feeds.authors import Author


@pytest.fixture
def alice() -> Author:
    return Author("alice")


@pytest.fixture
def bob() -> Author:
    return Author("bob")
