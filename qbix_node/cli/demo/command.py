"""`qbix-node demo`: tell the story with temporary homes, and tidy up whatever happens."""

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import trio

from qbix_node.cli.demo.children import Node, StepFailedError, free_ports
from qbix_node.cli.demo.jspeer import why_absent
from qbix_node.cli.demo.story import Story, Told
from qbix_node.cli.frame import Command, Context
from qbix_node.cli.output import Output
from qbix_node.crypto.entropy import random_bytes
from qbix_node.daemon.home import Home
from qbix_node.errors import ExitCode, QbixError
from qbix_node.wire.references import encode_base64
from qbix_node.wire.v8json import JsonValue

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan")


@dataclass(slots=True)
class Report:
    """What is printed as it happens, and in one piece with --json."""

    out: Output
    steps: list[JsonValue] = field(default_factory=list)
    failure: str | None = None

    def say(self, line: str) -> None:
        if not self.out.json:
            self.out.text(line)

    def step(self, name: str, told: Told, ms: int) -> None:
        self.steps.append({"step": name, "ok": True, "ms": ms, "told": list(told.sentences), **{"figures": told.figures}})
        first, *rest = told.sentences
        self.say(f"{self.out.paint(f'{name:<11}', 'green')} {first}")
        for line in rest:
            self.say(f"{'':<11} {line}")
