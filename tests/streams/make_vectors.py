"""Write spec/vectors/streams-*.json anew: `python -m tests.streams.make_vectors`.

Whatever is in them follows from fixed seeds, so that the same code writes the same files. What is
invalid breaks the one rule that it names, and else holds: its signatures are right, for instance.
"""

import json
from pathlib import Path
from typing import Any

from tests.streams import vectors_of_bytes, vectors_of_forks, vectors_of_trees

FOLDER = Path(__file__).parents[2] / "spec" / "vectors"


def make() -> dict[str, str]:
    """The text of each file."""
    made = {
        "streams-tree.json": vectors_of_trees.make(),
        "streams-bytes.json": vectors_of_bytes.make(),
        "streams-forks.json": vectors_of_forks.make(),
    }
    return {name: text_of(each) for name, each in made.items()}


def text_of(vectors: dict[str, Any]) -> str:
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in make().items():
        (FOLDER / name).write_text(text)
