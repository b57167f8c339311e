"""Small scenarios for the tests of the commands."""

from pathlib import Path

WELL = """\
name = "well"
about = "Somebody publishes; a connection is cut."
[run]
nodes = 4
duration_s = 12
[topology]
follow = "all"
[[operation]]
at_s = 1
node = 0
do = "publish"
size = 100
[[fault]]
at_s = 2
for_s = 1
kind = "cut"
nodes = [1]
"""

# Messages are on their way when patience ends.
STALLED = WELL.replace("duration_s = 12", "duration_s = 12\nsettle_s = 0") + (
    "[[operation]]\nat_s = 12\nnode = 0\ndo = 'publish'\nsize = 5000\n[links]\nlatency_s = 30\n"
)

EXPECTING = WELL + '[expect]\nsometimes = ["fork found"]\n'
HOPING = WELL + '[expect]\nin_sweep = ["fork found"]\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "scenario.toml"
    file.write_text(text)
    return file
