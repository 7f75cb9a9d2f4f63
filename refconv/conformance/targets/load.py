"""A target by its name on the command line."""

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

from refconv.conformance.adapters import ADAPTERS
from refconv.conformance.profile import Profile
from refconv.conformance.targets.base import Target, TargetError
from refconv.conformance.targets.function import FunctionTarget
from refconv.testing.operation import OPS

__all__ = ["ENTRY_POINTS", "entry_points", "function_from", "function_target", "load_target"]

#: Installed packages offer implementations under this name.
ENTRY_POINTS = "refconv.implementations"

_KINDS = (
    "a target is 'torch' or another adapter (refconv check --targets), 'package.module:function', "
    "'path/to/file.py:function', 'exec:COMMAND', or an entry point of the group 'refconv.implementations'"
)


def load_target(name: str, profile: Profile | None = None, *, isolated: bool = False) -> Target:
    """Return the target with a name.

    Parameters
    ----------
    name : str
        ``torch`` or another adapter, ``package.module:function``, ``path/to/file.py:function``, the name of an entry
        point, or ``exec:COMMAND``.
    profile : Profile, optional
        What it supports and claims. By default what the target says itself: adapters know, a function may have it as
        its attribute ``refconv_profile``, and otherwise it is one function, of the op that its name ends with (the
        target's, or else the function's), or conv2d.
    isolated : bool, default False
        Whether it is to run in a process of its own, which it may bring down. Programs have one anyway.

    Raises
    ------
    TargetError
        ``unknown target 'tensorflau'; a target is ...``, or what went wrong while it was loaded.
    """
    if name.startswith("exec:") or isolated:
        return _in_another_process(name, profile)
    if name in ADAPTERS:
        return ADAPTERS[name].load(profile)
    place, separator, attribute = name.rpartition(":")
    if separator and attribute and place.endswith(".py"):
        path = Path(place).resolve()
        definition = ["from refconv.conformance.targets.load import function_from", f"{{op}} = function_from({name!r})"]
        return function_target(name, _attribute(_load_file(path), place, attribute), profile, definition)
    if separator and attribute and place:
        definition = [_import(place, attribute)]
        return function_target(name, _attribute(_load_module(place), place, attribute), profile, definition)
    for entry_point in entry_points():
        if entry_point.name == name:
            return _of_entry_point(entry_point, profile)
    offered = ", ".join(entry_point.name for entry_point in entry_points())
    raise TargetError(f"unknown target {name!r}; {_KINDS}{f' (there are {offered})' if offered else ''}")


def entry_points() -> list[importlib.metadata.EntryPoint]:
    """Return the implementations that installed packages offer."""
    return sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda entry_point: entry_point.name)


def _of_entry_point(entry_point: importlib.metadata.EntryPoint, profile: Profile | None) -> FunctionTarget:
    place, _, attribute = entry_point.value.partition(":")
    if not attribute:
        raise TargetError(
            f"entry point {entry_point.name} is the module {place}; it must be a function, {place}:function"
        )
    found = _run(entry_point.value, entry_point.load)
    if not _is_implementation(found):
        raise TargetError(f"entry point {entry_point.name}: {entry_point.value} is no function, but {found!r}")
    holder, *rest = attribute.split(".")
    definition = [f"from {place} import {holder}", f"{{op}} = {attribute}"] if rest else [_import(place, attribute)]
    return function_target(entry_point.name, found, profile, definition)


def _import(place: str, attribute: str) -> str:
    """A line of code, for any function."""
    return f"from {place} import {attribute} as {{op}}"


def _in_another_process(name: str, profile: Profile | None) -> Target:
    is_program = name.startswith("exec:")
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError) as error:
        advice = "" if is_program else "; --in-process does without"
        raise TargetError(f"{name}: processes can be watched on Linux 5.3 or later only ({error}){advice}") from None
    # Imported here because they cannot be elsewhere.
    from refconv.conformance.targets.executable import ExecutableTarget
    from refconv.conformance.targets.isolated import IsolatedTarget

    return (ExecutableTarget if is_program else IsolatedTarget)(name, profile)


def function_from(name: str):
    """Return the function of ``path/to/file.py:function``, for scripts."""
    place, _, attribute = name.rpartition(":")
    return _attribute(_load_file(Path(place).resolve()), place, attribute)


def function_target(name: str, function, profile: Profile | None, definition: list[str]) -> FunctionTarget:
    """Return a function as a target.

    Parameters
    ----------
    name : str
    function : callable or dict of str to callable
        One function, or several by op.
    profile : Profile, optional
        As for `load_target`.
    definition : list of str
        Code that defines the function under the name ``{op}``, such as ``from package import function as {op}``.
    """
    if isinstance(function, dict):
        functions = function
        if not functions or not set(functions) <= set(OPS):
            raise TargetError(f"{name}: a dictionary must map names of functions ({', '.join(OPS)}) to functions")
        definition = [line.replace("as {op}", "as implementations") for line in definition]
        definition = [line.replace("{op} =", "implementations =") for line in definition]
        definitions = {op: [*definition, f"{op} = implementations[{op!r}]"] for op in functions}
    else:
        op = profile.ops[0] if profile else _op_named(name, getattr(function, "__name__", ""))
        functions = {op: function}
        definitions = {op: [line.format(op=op) for line in definition]}
    profile = profile or getattr(function, "refconv_profile", None) or Profile(ops=tuple(functions))
    missing = [op for op in profile.ops if op not in functions]
    if missing:
        raise TargetError(f"{name}: the profile says {', '.join(missing)}, but there is only {', '.join(functions)}")
    return FunctionTarget(name, functions, profile, definitions)


def _op_named(*names: str) -> str:
    """Return the function of the family whose name is the end of one of some names; conv2d if there is none."""
    for name in names:
        ops = [op for op in OPS if name.endswith(op)]
        if ops:
            return max(ops, key=len)
    return "conv2d"


def _attribute(module, place, attribute):
    found = getattr(module, attribute, None)
    if not _is_implementation(found):
        raise TargetError(f"{place} has no function {attribute!r}")
    return found


def _is_implementation(found) -> bool:
    return callable(found) or (isinstance(found, dict) and all(map(callable, found.values())))


def _load_file(path: Path):
    if not path.is_file():
        raise TargetError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    # As for `python file.py`: what lies beside the file can be imported from it.
    _put_on_path(path.parent)
    _run(str(path), lambda: spec.loader.exec_module(module))
    return module


def _load_module(name: str):
    _put_on_path(Path.cwd())
    return _run(name, lambda: importlib.import_module(name))


def _put_on_path(directory: Path):
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


def _run(what: str, load):
    try:
        return load()
    except Exception as error:
        raise TargetError(f"cannot import {what}: {type(error).__name__}: {error}") from error
