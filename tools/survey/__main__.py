"""Who conforms to what? Runs the suite on every library that there is an adapter for, and writes docs/survey.md.

    python tools/survey                     everything: environments, runs, code of known deviations, the page
    python tools/survey --only mlx          one environment anew; the others' reports are those of the last time
    python tools/survey --target torch      one target of an environment anew
    python tools/survey --rest              only the rows for which the last time there was no time, each by itself
    python tools/survey --page              the page alone, from the reports of the last time

Environments and reports are in build/survey. What has been found out by hand about failures is in deviations.toml; a
failure that nothing there explains is printed as not yet checked.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from deviations import deviations
from environments import ROOT, Environment, environments, wheel
from page import Surveyed, page
from rest import selection, waiting, with_row

_PAGE = ROOT / "docs" / "survey.md"
_SEED = 1


def main() -> int:
    """Install, run, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="ENVIRONMENT", help="in environments.toml; repeatable")
    parser.add_argument("--target", action="append", metavar="TARGET", help="of an environment; repeatable")
    parser.add_argument("--rest", action="store_true", help="only rows that there was no time for")
    parser.add_argument("--page", action="store_true", help="run nothing but the code of known deviations")
    parser.add_argument("--directory", type=Path, default=ROOT / "build" / "survey", help="default: %(default)s")
    parser.add_argument("--effort", default="quick", help="--profile of refconv check; default: %(default)s")
    parser.add_argument("--max-time", type=float, default=3600, help="seconds for each target; default: %(default)s")
    options = parser.parse_args()

    every = environments(options.directory)
    try:
        wanted = selected(every, options.only, options.target)
    except ValueError as error:
        parser.error(str(error))
    cases = ["--seed", str(_SEED), "--profile", options.effort]
    check = [*cases, "--max-time", f"{options.max_time:g}"]
    if not options.page:
        built = wheel(options.directory)
        ask = _ask_rest if options.rest else _ask
        for environment, adapters in wanted:
            _run(environment, adapters, built, check, options.directory, ask)
    surveyed = [one for environment in every for one in _surveyed(environment, options.directory)]
    _PAGE.write_text(page(surveyed, _found(every), cases), encoding="utf-8")
    print(f"written: {_PAGE}")
    return 0


def selected(
    every: list[Environment], only: list[str] | None, targets: list[str] | None
) -> list[tuple[Environment, list[str]]]:
    """Return environments with those of their targets that are to be run.

    Parameters
    ----------
    every : list of Environment
    only, targets : list of str or None
        Names of environments, and of single targets; all of them if there are neither.

    Raises
    ------
    ValueError
        ``no target mxl; there are torch, jax, ...``
    """
    only, targets = only or [], targets or []
    _refuse_unknown(only, [environment.name for environment in every], "environment")
    _refuse_unknown(targets, [adapter for environment in every for adapter in environment.adapters], "target")
    chosen = []
    for environment in every:
        whole = environment.name in only or not (only or targets)
        adapters = [adapter for adapter in environment.adapters if whole or adapter in targets]
        if adapters:
            chosen.append((environment, adapters))
    return chosen


def _refuse_unknown(names: list[str], known: list[str], what: str):
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"no {what} {', '.join(unknown)}; there are {', '.join(known)}")


def _run(environment: Environment, adapters: list[str], built: Path, check: list[str], directory: Path, ask):
    print(f"{environment.name}: installing", flush=True)
    if environment.missing:
        print(f"{environment.name}: needs {', '.join(environment.missing)}, which is not there")
        return
    environment.install(built)
    for adapter in adapters:
        report = _report(directory, adapter)
        report.parent.mkdir(parents=True, exist_ok=True)
        ask(environment, adapter, report, check)


def _ask(environment: Environment, adapter: str, report: Path, check: list[str]):
    report.unlink(missing_ok=True)
    began = time.perf_counter()
    status = environment.check(adapter, report, check, report.with_suffix(".log"))
    print(f"{environment.name}: {adapter}: exit status {status}, {time.perf_counter() - began:.0f} s", flush=True)
    if not report.exists():
        print(f"{environment.name}: {adapter}: no report; see {report.with_suffix('.log')}", flush=True)


def _ask_rest(environment: Environment, adapter: str, report: Path, check: list[str]):
    if not report.exists():
        print(f"{environment.name}: {adapter}: no report, so that all rows have to be asked: leave out --rest")
        return
    content = json.loads(report.read_text(encoding="utf-8"))
    for row in waiting(content):
        later = report.with_suffix(".rest.json")
        later.unlink(missing_ok=True)
        log = report.with_suffix(".rest.log")
        environment.check(adapter, later, [*check, *selection(row)], log)
        if not later.exists():
            print(f"{environment.name}: {adapter}: {row['key']}: no report; see {log}", flush=True)
            continue
        content = with_row(content, json.loads(later.read_text(encoding="utf-8")), row["key"])
        report.write_text(json.dumps(content), encoding="utf-8")
        print(f"{environment.name}: {adapter}: {row['key']}", flush=True)


def _report(directory: Path, adapter: str) -> Path:
    return directory / "reports" / f"{adapter.replace(':', '-')}.json"


def _surveyed(environment: Environment, directory: Path):
    for adapter in environment.adapters:
        report = _report(directory, adapter)
        if report.exists():
            content = json.loads(report.read_text(encoding="utf-8"))
            yield Surveyed(adapter, content, environment.megabytes)
        else:
            why = f"needs {', '.join(environment.missing)}" if environment.missing else "no report"
            yield Surveyed(adapter, {}, failure=f"not run: {why}")


def _found(every: list[Environment]):
    """The deviations that have been checked, and what their code prints now."""
    home = {adapter: environment for environment in every for adapter in environment.adapters}
    found = []
    for deviation in deviations():
        environment = home[deviation.adapters[0]]
        if not environment.python.exists():
            found.append((deviation, deviation.output.strip()))
            continue
        output = environment.output_of(deviation.script)
        same = output == deviation.output.strip()
        print(f"{deviation.adapters[0]}: {deviation.title}: {'as before' if same else 'prints something else now'}")
        found.append((deviation, output))
    return found


if __name__ == "__main__":
    sys.exit(main())
