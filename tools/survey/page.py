"""The page: who conforms to what, and what was found where somebody does not."""

import platform
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from deviations import KINDS, Deviation

from refconv.conformance.adapters import ADAPTERS
from refconv.conformance.clauses import CLAUSES
from refconv.conformance.features import FEATURES
from refconv.testing.claim import Claim

__all__ = ["Surveyed", "page"]

_INTRODUCTION = """\
# Survey of libraries

Made by `make survey`; do not edit. Each library was installed in an environment of its own and its adapter
(`refconv/conformance/adapters`) judged by [the clauses](clauses.md), as `refconv check NAME {options}` does. The runs
began on {dates} and took up to {longest} seconds each; rows that had no time may have been asked by themselves
afterwards. {machine}

What counts as right is the specification on this site: torch's sizes, and results within the error that the library's
own arithmetic can have. Another convention is not a deviation: layouts, paddings and kernels are translated, and what a
library does not have or does otherwise by its own documentation is *declared* in its adapter and not asked. Every
deviation below was looked at by hand: its code needs nothing but the library, was run by itself in the library's
environment, and was run again when this page was made; what it printed is below it. A row that fails for a reason that
nobody has looked at yet is listed as such.

A deviation is a fact about one version on one machine. It may be intended, known or mended.
"""

_HOLDS, _FAILS, _NOT_ASKED, _NOT_RUN = "✓", "✗", "·", "?"
_LEGEND = (
    f"A clause is asked once for each function and dtype. {_HOLDS} holds each time; {_HOLDS} 3/4 holds three times, "
    f"and there was no time for the fourth; {_FAILS} 2/4 fails twice of four times; {_NOT_ASKED} not asked, as the "
    f"target declares to be without, or has no function that it is about; {_NOT_RUN} no time for it at all. In "
    "brackets is the key of the clause, with which the names of rows begin."
)


@dataclass(frozen=True)
class Surveyed:
    """What came of one target.

    Parameters
    ----------
    name : str
    report : dict
        As written by ``refconv check --json``; empty if there is none.
    megabytes : int
        Size of the environment.
    failure : str
        Why there is no report.
    """

    name: str
    report: dict
    megabytes: int = 0
    failure: str = ""

    @property
    def rows(self) -> list[dict]:
        """One for each clause, function and dtype."""
        return self.report.get("rows", [])

    @property
    def outcomes(self) -> Counter:
        """How many rows of which outcome."""
        return Counter(row["outcome"] for row in self.rows)

    @property
    def failing(self) -> list[dict]:
        """The rows that fail."""
        return [row for row in self.rows if row["outcome"] in ("fail", "error")]

    @property
    def verdict(self) -> str:
        """What it comes to, in a sentence."""
        not_run, run = self.outcomes["not run"], self.outcomes["pass"]
        cut_short = sum(row["outcome"] == "pass" and row["cut_short"] for row in self.rows)
        fewer = f" For {cut_short} of the rows that hold the time was enough for fewer cases only." if cut_short else ""
        if self.failing:
            no_time = f" For {not_run} others there was no time." if not_run else ""
            return f"{len(self.failing)} of {run + len(self.failing)} rows that were run fail.{no_time}{fewer}"
        if not_run:
            return f"No failure in the {run} rows that were run; for {not_run} others there was no time.{fewer}"
        return f"It conforms to all that it was asked.{fewer}"

    @property
    def versions(self) -> str:
        """Of the library, without those of refconv and Python."""
        own = {"refconv", "numpy", "hypothesis", "python"}
        return ", ".join(
            f"{name} {version}" for name, version in self.report.get("versions", {}).items() if name not in own
        )


def page(surveyed: list[Surveyed], found: list[tuple[Deviation, str]], options: list[str]) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    surveyed : list of Surveyed
    found : list of (Deviation, str)
        Deviations, and what their code printed just now.
    options : list of str
        Of ``refconv check``.
    """
    machine = f"The machine: {_processor()}, {platform.system()}."
    reports = [one.report for one in surveyed if one.rows]
    facts = {
        "options": " ".join(options),
        "dates": " and ".join(sorted({report["started"][:10] for report in reports})),
        "longest": round(max((report["seconds"] for report in reports), default=0)),
        "machine": machine,
    }
    parts = [_INTRODUCTION.format(**facts), *_overview(surveyed, found), *_matrix(surveyed), "## Library by library"]
    for one in surveyed:
        parts += _library(one, [(deviation, output) for deviation, output in found if one.name in deviation.adapters])
    return "\n\n".join(parts) + "\n"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_tile") if flag in facts.get("flags", "").split()]
    return f"{facts.get('model name', platform.machine())} with {', '.join(known)}"


def _overview(surveyed, found):
    lines = [
        "| target | rows that hold | fail | no time | declared | what is called | versions | environment |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in surveyed:
        counts = one.outcomes
        failed = counts["fail"] + counts["error"]
        lines.append(
            f"| `{one.name}` | {counts['pass']} | {failed} | {counts['not run']} | {counts['unsupported']} | "
            f"{ADAPTERS[one.name].sentence} | {one.versions or one.failure} | {one.megabytes} MB |"
        )
    return ["## Who was asked", "\n".join(lines), *_without_failure(surveyed, found)]


def _without_failure(surveyed, found):
    known = {adapter for deviation, _ in found for adapter in deviation.adapters}
    kinds = {
        "Without a failure": [],
        "Without a failure so far, as there was no time for all rows": [],
        "Without a failure in this run, though a deviation is known": [],
    }
    whole, part, unmet = kinds.values()
    for one in surveyed:
        if one.rows and not one.failing:
            kind = unmet if one.name in known else part if one.outcomes["not run"] else whole
            kind.append(f"`{one.name}`")
    sentences = [f"{title}: {', '.join(names)}." for title, names in kinds.items() if names]
    return [" ".join(sentences or ["Nobody is without a failure."])]


def _matrix(surveyed):
    shown = [one for one in surveyed if one.rows]
    asked = {row["clause"] for one in shown for row in one.rows}
    newer = [clause.title for clause in CLAUSES if clause.key not in asked]
    lines = ["| clause | " + " | ".join(f"`{one.name}`" for one in shown) + " |", "|---" * (len(shown) + 1) + "|"]
    for clause in CLAUSES:
        if clause.key in asked:
            cells = [f"{clause.title} (`{clause.key}`)", *(_cell(one, clause.key) for one in shown)]
            lines.append(f"| {' | '.join(cells)} |")
    parts = ["## Who conforms to what", _LEGEND, "\n".join(lines)]
    if newer:
        parts.append(f"Nobody was asked, as it is asked on request only or newer than the runs: {'; '.join(newer)}.")
    return parts


def _cell(one: Surveyed, clause: str) -> str:
    outcomes = Counter(row["outcome"] for row in one.rows if row["clause"] == clause)
    failed = outcomes["fail"] + outcomes["error"]
    held, not_run = outcomes["pass"], outcomes["not run"]
    if failed:
        return f"{_FAILS} {failed}/{failed + held + not_run}"
    if held:
        return f"{_HOLDS} {held}/{held + not_run}" if not_run else _HOLDS
    return _NOT_RUN if not_run else _NOT_ASKED


def _library(one: Surveyed, found):
    parts = [f"### {one.name}", f"{ADAPTERS[one.name].sentence}. {one.versions or one.failure}."]
    if not one.rows:
        return parts
    profile = one.report["profile"]
    parts.append(f"Asked: {', '.join(profile['ops'])}, in {', '.join(profile['dtypes'])}. {_claims(profile)}")
    if one.report.get("options"):
        parts.append(f"Only with `{' '.join(one.report['options'])}`.")
    if profile["unsupported"]:
        declared = [f"- {_feature(key)}: {reason}" for key, reason in profile["unsupported"].items()]
        parts.append("Declared:\n\n" + "\n".join(declared))
    parts.append(f"**{one.verdict}**")
    if not one.failing:
        return parts
    preambles = dict.fromkeys(deviation.preamble for deviation, _ in found if deviation.adapters[0] == one.name)
    parts += [f"Some of the code below begins with this:\n\n{_code(preamble)}" for preamble in preambles if preamble]
    unexplained = [row for row in one.failing if not any(_explains(one, deviation, row) for deviation, _ in found)]
    for deviation, output in found:
        rows = [row for row in one.failing if _explains(one, deviation, row)]
        parts += _deviation(one, deviation, output, rows)
    if unexplained:
        lines = [f"- `{row['key']}`: {_headline(row)}" for row in unexplained]
        parts.append("Rows that fail and have not yet been checked by hand:\n\n" + "\n".join(lines))
    return parts


def _claims(profile) -> str:
    by_text = {}
    for dtype in profile["dtypes"]:
        claim = Claim(**profile["claims"][dtype]) if dtype in profile["claims"] else Claim.of(dtype)
        by_text.setdefault(str(claim), []).append(dtype)
    return "Held to: " + "; ".join(f"{text} ({', '.join(dtypes)})" for text, dtypes in by_text.items()) + "."


def _feature(key: str) -> str:
    only_for, _, feature = key.rpartition(":")
    return FEATURES[feature][0] + (f" ({only_for})" if only_for else "")


def _headline(row) -> str:
    finding = row.get("finding") or {}
    return " ".join((finding.get("headline") or row.get("reason") or row["outcome"]).split())[:200]


def _explains(one, deviation, row) -> bool:
    return deviation.explains(one.name, row["key"], _headline(row))


def _deviation(one, deviation, output, rows):
    met = f"Fails: {_shortened([row['key'] for row in rows])}." if rows else "No row of this run has met it."
    title = f"{KINDS[deviation.kind]}: {deviation.title}"
    if deviation.adapters[0] != one.name:
        return [f"**{title}.** As [above](#{_anchor(deviation)}). {met}"]
    parts = [
        f"({_anchor(deviation)})=",
        f"#### {title}",
        deviation.text.strip(),
        met,
        _code(deviation.code),
        f"```text\n{output}\n```",
    ]
    if output != deviation.output.strip():
        parts += ["It printed something else when it was checked by hand:", f"```text\n{deviation.output.strip()}\n```"]
    return parts


def _code(code: str) -> str:
    return f"```python\n{code.strip()}\n```"


def _anchor(deviation) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in f"{deviation.adapters[0]} {deviation.title}")
    return "-".join(words.lower().split())


def _shortened(keys: list[str], most: int = 6) -> str:
    shown = ", ".join(f"`{key}`" for key in keys[:most])
    return shown + (f" and {len(keys) - most} more" if len(keys) > most else "")
