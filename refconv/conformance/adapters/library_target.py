"""A library as a target, with code for reports that gets at its functions."""

from refconv.conformance.profile import Profile
from refconv.conformance.targets.function import FunctionTarget

__all__ = ["library_target"]


def library_target(
    name: str,
    functions: dict,
    profile: Profile,
    versions: dict[str, str],
    definitions: dict[str, list[str]] | None = None,
) -> FunctionTarget:
    """Return functions of a library as a target.

    Parameters
    ----------
    name : str
        Of the adapter.
    functions : dict of str to callable
        By op.
    profile : Profile
    versions : dict of str to str
        Of the library and of what else decides about its results.
    definitions : dict of str to list of str, optional
        By op, code that defines the function without refconv. For others the code asks the adapter for it.
    """
    by_adapter = {
        op: [
            "from refconv.conformance.adapters import ADAPTERS",
            f"{op} = ADAPTERS[{name!r}].load().functions[{op!r}]",
        ]
        for op in functions
    }
    return FunctionTarget(name, functions, profile, by_adapter | (definitions or {}), versions)
