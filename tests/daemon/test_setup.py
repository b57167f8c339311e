from pathlib import Path

import pytest

from qbix_node.crypto.keys import KeyPair
from qbix_node.daemon.config import Endpoint, load_config
from qbix_node.daemon.home import Home
from qbix_node.daemon.secret import read_secret, write_secret
from qbix_node.daemon.setup import make_home
from qbix_node.errors import BadInput, ConfigError, LocalError

KEYS = KeyPair.from_seed(b"brought along".ljust(32))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "some" / "home")


def test_a_node_has_a_key_a_store_and_settings(home: Home) -> None:
    keys = make_home(home, {"listen": "127.0.0.1:8009"})
    assert read_secret(home.secret) == keys
    assert home.root.stat().st_mode & 0o777 == 0o700
    assert load_config(home.config).listen == Endpoint("127.0.0.1", 8009)
    assert home.store.is_dir()
    assert not home.brought_marker.exists()


def test_every_node_has_another_key(tmp_path: Path) -> None:
    assert make_home(Home(tmp_path / "a"), {}) != make_home(Home(tmp_path / "b"), {})


def test_a_node_is_never_made_over_another(home: Home) -> None:
    keys = make_home(home, {})
    with pytest.raises(LocalError, match="there is a node already"):
        make_home(home, {"listen": "127.0.0.1:1"})
    assert read_secret(home.secret) == keys
    assert "listen" not in home.config.read_text()


def test_a_store_whose_key_is_lost_gets_no_new_one(home: Home) -> None:
    make_home(home, {})
    home.secret.unlink()
    with pytest.raises(ConfigError, match="its key is not"):
        make_home(home, {})


def test_settings_of_a_person_are_kept(home: Home) -> None:
    home.root.mkdir(parents=True)
    home.config.write_text('log_level = "debug"\n')
    make_home(home, {})
    assert load_config(home.config).log_level == "debug"


def test_impossible_settings_make_nothing(home: Home) -> None:
    with pytest.raises(BadInput, match="no HOST:PORT"):
        make_home(home, {"listen": "nowhere"})
    assert not home.root.exists()


@pytest.mark.parametrize("value", ['x"\nlog_level = "debug', "tab\t", "\\"])
def test_a_setting_can_not_bring_another_along(home: Home, value: str) -> None:
    with pytest.raises(BadInput, match="no name or address of a host"):
        make_home(home, {"announce": value})
    assert not home.root.exists()


def test_an_identity_that_is_brought_may_not_publish_yet(home: Home, tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", KEYS)
    assert make_home(home, {}, secret=tmp_path / "secret") == KEYS
    assert read_secret(home.secret) == KEYS
    assert home.brought_marker.exists()


def test_so_may_one_that_a_person_put_into_the_home(home: Home) -> None:
    home.root.mkdir(parents=True)
    write_secret(home.secret, KEYS)
    assert make_home(home, {}) == KEYS
    assert home.brought_marker.exists()


def test_two_identities_are_one_too_many(home: Home, tmp_path: Path) -> None:
    home.root.mkdir(parents=True)
    write_secret(home.secret, KEYS)
    write_secret(tmp_path / "secret", KeyPair.from_seed(bytes(32)))
    with pytest.raises(LocalError, match="another identity"):
        make_home(home, {}, secret=tmp_path / "secret")


def test_a_file_without_an_end_is_no_secret(home: Home) -> None:
    with pytest.raises(BadInput, match="/dev/zero: longer than the 65536 bytes of a secret"):
        make_home(home, {}, secret=Path("/dev/zero"))
    assert not home.root.exists()


def test_a_file_that_is_no_secret_makes_nothing(home: Home, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("my cat's name")
    with pytest.raises(LocalError, match="not the JSON of a Scuttlebutt secret"):
        make_home(home, {}, secret=tmp_path / "secret")
    assert not home.root.exists()
