"""What is not as it has to be, and why that matters."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complaint:
    """`spec`: the sentence that it rests on: page, section, words."""

    spec: str
    what: str
