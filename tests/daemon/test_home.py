import os
from pathlib import Path

import pytest

from qbix_node.daemon.home import Home, find_home
from qbix_node.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o700)
    home.secret.touch(mode=0o600)
    return home


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_option_comes_before_the_environment() -> None:
    environment = {"QBIX_HOME": "/srv/a", "STATE_DIRECTORY": "/var/lib/b"}
    assert find_home("/srv/o", environment).root == Path("/srv/o")
    assert find_home(None, environment).root == Path("/srv/a")


def test_systemd_may_name_several_state_directories() -> None:
    environment = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}
    assert find_home(None, environment).root == Path("/var/lib/a")


def test_without_a_word_the_home_is_where_user_data_lies() -> None:
    assert find_home(None, {}).root == Path("~/.local/share/qbix-node").expanduser()


def test_a_home_that_is_closed_to_others_needs_no_repair(home: Home) -> None:
    assert home.secure() == []


def test_what_was_open_to_others_is_closed_and_told(home: Home) -> None:
    home.root.chmod(0o755)
    home.secret.chmod(0o644)
    told = home.secure()
    assert (mode(home.root), mode(home.secret)) == (0o700, 0o600)
    assert [str(home.root) in told[0], str(home.secret) in told[1]] == [True, True]
    assert "0644" in told[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_the_home_of_another_user_is_refused_with_the_way_in(home: Home) -> None:
    os.chown(home.secret, 12345, -1)
    with pytest.raises(ConfigError, match="belongs to user 12345") as refused:
        home.secure()
    assert "sudo -u '#12345'" in refused.value.hint


def test_no_node_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no node here") as refused:
        Home(tmp_path).require()
    assert f"qbix-node --home {tmp_path} init" in refused.value.hint


def test_a_store_without_its_key_is_no_invitation_to_make_a_new_one(tmp_path: Path) -> None:
    Home(tmp_path).store.mkdir()
    with pytest.raises(ConfigError, match="its key is not") as refused:
        Home(tmp_path).require()
    assert "backup" in refused.value.hint
