"""Failures that are known and accepted: a file of row keys, each with the reason, for ``--xfail``.

Lines, with patterns as in a shell and a reason that may not be missing::

    # what the next release will fix
    named-padding/conv2d/*       'same' puts the extra zero first, see bug 123
    rounding/*/float16           accumulates in float16

or, if the name of the file ends in ``.toml``, a table ``pattern = "reason"``. A row that is expected to fail and passes
fails the run, so that the file does not outlive the bugs.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["Expectations", "XfailError", "expectations_of", "read_xfails"]


class XfailError(ValueError):
    """An xfail file cannot be read, lacks a reason, or has a pattern that no row matches."""


@dataclass(frozen=True)
class Expectations:
    """Which rows are expected to fail, and why.

    Parameters
    ----------
    reasons : dict of str to str
        By pattern for keys of rows, ``clause/op/dtype``; the first that matches counts.
    source : str
        The file, for messages.
    """

    reasons: dict[str, str]
    source: str = ""

    def reason(self, key: str) -> str | None:
        """Why a row is expected to fail, or None if it is not."""
        return next((reason for pattern, reason in self.reasons.items() if fnmatchcase(key, pattern)), None)

    def check(self, keys: list[str]) -> None:
        """Raise unless every pattern matches one of the keys at least: a typo would hide a fixed bug for ever.

        Parameters
        ----------
        keys : list of str
            Of all rows that the target has, whichever are run now.

        Raises
        ------
        XfailError
            ``known.txt: no row of this target matches 'paddin/conv2d/*'``
        """
        for pattern in self.reasons:
            if not any(fnmatchcase(key, pattern) for key in keys):
                raise XfailError(f"{self.source}: no row of this target matches {pattern!r}; --dry-run lists the rows")


def expectations_of(xfail: Expectations | dict[str, str] | str | Path | None) -> Expectations:
    """Return what is expected to fail.

    Parameters
    ----------
    xfail : dict, str, Path, Expectations or None
        Reasons by pattern, or a file of them; nothing if None.

    Raises
    ------
    XfailError
        As `read_xfails`.
    """
    if isinstance(xfail, Expectations):
        return xfail
    if isinstance(xfail, (str, Path)):
        return read_xfails(xfail)
    reasons = {}
    for pattern, reason in (xfail or {}).items():
        _add(reasons, pattern, reason, "xfail")
    return Expectations(reasons, "xfail")


def read_xfails(path: str | Path) -> Expectations:
    """Read an xfail file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Expectations

    Raises
    ------
    XfailError
        ``there is no file known.txt``, or ``known.txt:3: 'shape/conv2d/*' has no reason``
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise XfailError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise XfailError(f"{path} cannot be read: {error}") from error
    return Expectations(_from_toml(path, text) if path.suffix == ".toml" else _from_lines(path, text), str(path))


def _from_lines(path: Path, text: str) -> dict[str, str]:
    reasons = {}
    for number, line in enumerate(text.splitlines(), start=1):
        pattern, _, reason = line.strip().partition(" ")
        if not pattern or pattern.startswith("#"):
            continue
        _add(reasons, pattern, reason, f"{path}:{number}")
    return reasons


def _from_toml(path: Path, text: str) -> dict[str, str]:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise XfailError(f"{path} cannot be read: {error}") from error
    reasons = {}
    for pattern, reason in table.items():
        _add(reasons, pattern, reason, str(path))
    return reasons


def _add(reasons: dict[str, str], pattern: str, reason: object, place: str) -> None:
    if not isinstance(reason, str) or not reason.strip():
        raise XfailError(f"{place}: {pattern!r} has no reason, but needs one: why does it fail, and until when?")
    if pattern in reasons:
        raise XfailError(f"{place}: {pattern!r} is there twice")
    reasons[pattern] = reason.strip()
