"""One run of everything: the zoo, the ladder, the hard data, the memory."""

import os
import platform
import resource
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.measure import PEAK_SECONDS, Result, race
from benchmarks.memory import WAYS, extra_memory
from benchmarks.operands import KINDS
from benchmarks.team import Team
from benchmarks.zoo import GRADIENTS, HARD_DATA_LAYER, SUBSTANTIAL_MACS, Layer, ladder

LADDER_CONTENDERS = ("refconv-f32", "torch-f64", "torch-f32")
INTEGER_CONTENDERS = ("refconv-f32", "refconv-i8")
# Memory below this is lost in the kernel's rounding of its counters: such layers are not measured.
LEAST_MEMORY_BYTES = 1e6


PARTS = ("zoo", "gradients", "integers", "ladder", "hard", "memory")


@dataclass(frozen=True)
class Effort:
    """How much time a run takes; the seconds are per layer and thread count, all contenders together."""

    zoo_seconds: float
    more_seconds: float  # for each gradient, and for integers
    ladder_seconds: float
    ladder_exponents: tuple
    hard_seconds: float
    memory_layers: int


FULL = Effort(4.0, 1.0, 2.0, tuple(e / 2 for e in range(8, 21)), 10.0, 100)
QUICK = Effort(0.5, 0.2, 0.3, (4, 5, 6, 7, 8, 9), 3.0, 6)


@dataclass(frozen=True)
class Plan:
    """The layers each part of a run will measure; empty where a part is not wanted.

    Parameters
    ----------
    zoo, gradients, integers, ladder, hard, memory : list of Layer
    effort : Effort
    """

    zoo: list[Layer]
    gradients: list[Layer]
    integers: list[Layer]
    ladder: list[Layer]
    hard: list[Layer]
    memory: list[Layer]
    effort: Effort

    @classmethod
    def make(cls, layers, parts, effort):
        """Plan to measure `layers` of the zoo, and those of `PARTS` that are in `parts`."""
        large = [layer for layer in layers if layer.float32_bytes >= LEAST_MEMORY_BYTES]
        substantial = [layer for layer in layers if layer.macs > SUBSTANTIAL_MACS]
        evenly_spread = large[:: max(1, ceil(len(large) / effort.memory_layers))]
        everything = {
            "zoo": layers,
            "gradients": [replace(layer, task=task) for layer in substantial for task in GRADIENTS],
            "integers": [replace(layer, data="int8") for layer in substantial],
            "ladder": ladder(effort.ladder_exponents),
            "hard": [replace(HARD_DATA_LAYER, data=kind) for kind in KINDS if kind != "int8"],
            "memory": evenly_spread,
        }
        return cls(*(everything[part] if part in parts else [] for part in PARTS), effort)

    def count_steps(self, threads):
        """Return how often `measure` will call its `step`."""
        races = len(self.zoo) + len(self.gradients) + len(self.integers) + len(self.ladder)
        return 2 + races * len(threads) + len(self.memory)


@dataclass
class Run:
    """Everything that was measured.

    Parameters
    ----------
    machine : dict
        Where it ran.
    versions : dict
        Package -> version, None where it is missing.
    zoo, gradients, integers, ladder, hard : list of Result
    memory : list of dict
        ``layer``, ``threads``, and for each of `memory.WAYS` the peak extra bytes, or None.
    peaks : dict
        Thread count -> multiply-adds per second, the best seen throughout the run.
    disturbance : float
        Share of the machine's CPU time that went to other programs, or that a hypervisor took away.
    """

    machine: dict
    versions: dict = field(default_factory=dict)
    zoo: list[Result] = field(default_factory=list)
    gradients: list[Result] = field(default_factory=list)
    integers: list[Result] = field(default_factory=list)
    ladder: list[Result] = field(default_factory=list)
    hard: list[Result] = field(default_factory=list)
    memory: list[dict] = field(default_factory=list)
    peaks: dict = field(default_factory=dict)
    disturbance: float = 0.0

    @property
    def threads(self):
        """Thread counts, in rising order."""
        return sorted(self.peaks)

    def peak_share(self, result, contender="refconv-f32"):
        """Return a contender's rate as a share of the float64 multiply-add peak, or None."""
        rate = result.rate(contender)
        return rate / self.peaks[result.threads] if rate else None

    def to_json(self):
        """Return everything as JSON's types."""
        fields = {key: getattr(self, key) for key in ("machine", "versions", "memory", "peaks", "disturbance")}
        races = [part for part in PARTS if part != "memory"]
        return fields | {part: [result.to_json() for result in getattr(self, part)] for part in races}


def describe_machine():
    """Return the processor, the number of CPUs and the system."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def measure(plan, threads, peers, step):
    """Measure everything that is planned.

    Parameters
    ----------
    plan : Plan
    threads : list of int
        Thread counts.
    peers : list of str
        Packages to compare with.
    step : callable
        ``step(text)`` is called before each measurement, `Plan.count_steps` times in all.

    Returns
    -------
    Run
    """
    run = Run(describe_machine())
    start, foreign = time.perf_counter(), _foreign_cpu_seconds()
    with ExitStack() as stack:
        teams = [stack.enter_context(Team(count)) for count in threads]
        step("starting")
        run.peaks = {team.threads: team.ask("main", "peak", seconds=PEAK_SECONDS) for team in teams}
        run.versions = teams[0].versions(["refconv", *peers])
        present = [key for key, contender in CONTENDERS.items() if run.versions.get(contender.package)]
        present.remove("refconv-i8")
        few = [key for key in LADDER_CONTENDERS if key in present]
        run.zoo = _race_each(run, teams, plan.zoo, present, plan.effort.zoo_seconds, step)
        pair = [key for key in few if key != "torch-f32"]
        run.gradients = _race_each(run, teams, plan.gradients, pair, plan.effort.more_seconds, step)
        run.integers = _race_each(run, teams, plan.integers, INTEGER_CONTENDERS, plan.effort.more_seconds, step)
        run.ladder = _race_each(run, teams, plan.ladder, few, plan.effort.ladder_seconds, step)
        step("hard data")
        run.hard = race(teams[0], plan.hard, few[:2], plan.effort.hard_seconds)
    ways = [way for way in WAYS if run.versions.get(way.split("-")[0])]
    for layer in plan.memory:
        step(f"memory: {layer.name}")
        measured = {way: extra_memory(way, layer, threads[-1]) for way in ways}
        run.memory.append({"layer": layer.name, "threads": threads[-1], **measured})
    elapsed = (time.perf_counter() - start) * os.cpu_count()
    run.disturbance = max(0.0, _foreign_cpu_seconds() - foreign) / elapsed
    return run


def _foreign_cpu_seconds():
    """Return CPU seconds spent since boot by anything but this process and the children it has waited for."""
    user, nice, system, _idle, _iowait, *rest = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    busy = (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
    return busy - sum(usage.ru_utime + usage.ru_stime for usage in own)


def _race_each(run, teams, layers, contenders, seconds, step):
    """Race layer by layer; thread counts alternate, so that a speed-up compares times of the same minute."""
    results = []
    for layer in layers:
        for team in teams:
            what = "" if layer.task == "forward" else f", {layer.task}"
            step(f"{layer.name}{what}, {team.threads} thread{'s' if team.threads > 1 else ''}")
            peak = team.ask("main", "peak", seconds=PEAK_SECONDS)
            run.peaks[team.threads] = max(run.peaks[team.threads], peak)
            results += race(team, [layer], contenders, seconds)
    return results
