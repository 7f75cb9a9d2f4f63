"""What the suite and a worker process say to each other. Arrays are named by where they lie in shared memory."""

from typing import Any, NamedTuple

from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Invocation
from refconv.conformance.targets.memory import Placed

__all__ = ["STAGES", "Batch", "Load", "Loaded", "NotLoaded"]

#: What a worker writes into shared memory about each invocation, for those who may find it dead.
STAGES = {"begun": 1, "done": 2}


class Load(NamedTuple):
    """What a worker is asked to do at first: to load a target."""

    name: str
    profile: Profile | None


class Loaded(NamedTuple):
    """The answer, when it can be called."""

    name: str
    profile: Profile
    versions: dict[str, str]
    definitions: dict[str, list[str]]


class NotLoaded(NamedTuple):
    """The answer, if it cannot."""

    reason: str


class Batch(NamedTuple):
    """What a worker is asked to do then: to make calls. The answer is a list of outcomes."""

    invocations: list[Invocation]
    stages: Placed
    options: dict[str, Any]
