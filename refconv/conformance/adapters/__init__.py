"""Other libraries' convolutions as targets: one file per library, each imported only when it is asked for."""

import importlib
from dataclasses import dataclass

from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Target, TargetError

__all__ = ["ADAPTERS", "Adapter"]


@dataclass(frozen=True)
class Adapter:
    """A library, or a variant of one, that the suite knows how to call.

    Parameters
    ----------
    name : str
        On the command line.
    module : str
        In this package; it has a function ``target(name)``.
    package : str
        What pip installs.
    sentence : str
    """

    name: str
    module: str
    package: str
    sentence: str

    def load(self, profile: Profile | None = None) -> Target:
        """Return the target; a TargetError if the library is not installed."""
        try:
            target = importlib.import_module(f"refconv.conformance.adapters.{self.module}").target(self.name)
        except ModuleNotFoundError as error:
            raise TargetError(f"target {self.name!r} needs {error.name}: pip install {self.package}") from error
        if profile is not None:
            target.profile = profile
        return target


#: By name.
ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (Adapter("torch", "torch", "refconv[torch]", "torch.nn.functional and torch.nn.grad on the CPU"),)
}
