"""What has been found out by hand about rows that fail: deviations.toml."""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

import tomllib

__all__ = ["Deviation", "deviations"]

#: Kinds of deviations, and what they are called on the page.
KINDS = {
    "wrong": "Wrong result",
    "crash": "Crash",
    "refusal": "Refused",
    "accepted": "Wrong calls accepted",
    "precision": "Less precise than claimed",
}


@dataclass(frozen=True)
class Deviation:
    """A deviation that has been checked by hand.

    Parameters
    ----------
    adapters : list of str
        Targets that show it; the first one's environment is where the code runs.
    rows : list of str
        Patterns of the keys of the rows in which the suite meets it: ``groups/conv_transpose?d/*``.
    headline : str
        A regular expression that is found in the headline of such a row's failure.
    kind : str
        A key of `KINDS`.
    title, text : str
        What is the case, in a line and in a paragraph.
    code : str
        What shows it, without refconv.
    preamble : str
        What comes before the code; in the file, its key in the table of that name.
    output : str
        What the script printed when it was checked.
    """

    adapters: list[str]
    rows: list[str]
    kind: str
    title: str
    text: str
    code: str
    output: str
    headline: str = ""
    preamble: str = ""

    @property
    def script(self) -> str:
        """All that has to be run."""
        return f"{self.preamble}\n\n{self.code}" if self.preamble else self.code

    def explains(self, adapter: str, key: str, headline: str) -> bool:
        """Return whether a failing row is an instance of it."""
        return (
            adapter in self.adapters
            and any(fnmatch.fnmatch(key, pattern) for pattern in self.rows)
            and re.search(self.headline, headline) is not None
        )


def deviations() -> list[Deviation]:
    """Return all that have been checked."""
    content = tomllib.loads((Path(__file__).parent / "deviations.toml").read_text(encoding="utf-8"))
    preambles = {"": "", **content["preamble"]}
    found = [Deviation(**{**entry, "preamble": preambles[entry.get("preamble", "")]}) for entry in content["deviation"]]
    unknown = {deviation.kind for deviation in found} - set(KINDS)
    if unknown:
        raise ValueError(
            f"deviations.toml: kind must be one of {', '.join(KINDS)}, but got {', '.join(sorted(unknown))}"
        )
    return found
