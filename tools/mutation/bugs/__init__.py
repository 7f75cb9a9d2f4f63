"""The planted bugs, one module for each area of refconv; each has a list `BUGS`."""

import pkgutil
from importlib import import_module


def planted():
    """All planted bugs, area by area."""
    areas = sorted(module.name for module in pkgutil.iter_modules(__path__))
    bugs = [bug for area in areas for bug in import_module(f"{__name__}.{area}").BUGS]
    names = [bug.name for bug in bugs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"two planted bugs have the name {', '.join(sorted(twice))}")
    return bugs
