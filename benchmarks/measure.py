"""Who runs when, and for how long.

Contenders take turns, several times around, so that whatever else the machine does hits them all alike.  Ratios are of
best times: noise only ever adds.
"""

from dataclasses import asdict, dataclass, field
from statistics import median

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.team import WorkerError
from benchmarks.zoo import Layer

ROUNDS = 5
# Even a contender that has used up its time gets this many samples.
LEAST_SAMPLES = 2
PEAK_SECONDS = 0.02


@dataclass
class Entrant:
    """A contender on a layer, and the times measured so far.

    Parameters
    ----------
    contender : Contender
    layer : Layer
    """

    contender: Contender
    layer: Layer
    samples: list = field(default_factory=list)
    spent: float = 0.0

    @property
    def id(self):
        """Name of this entrant in its worker."""
        return f"{self.contender.key} | {self.layer.name} | {self.layer.data} | {self.layer.task}"

    @property
    def timing(self):
        """Best and median seconds of one call."""
        return {"best": min(self.samples), "median": median(self.samples), "samples": len(self.samples)}


@dataclass
class Result:
    """What was measured for one layer and thread count; becomes one object in bench.json.

    Parameters
    ----------
    layer : Layer
    threads : int
    timings : dict
        Contender key -> ``best``, ``median``, ``samples``.
    problems : dict
        Contender key -> why there is no timing.
    rungs : dict
        Contender key -> shares of outputs that needed ``rung2`` and ``rung3``.
    """

    layer: Layer
    threads: int
    timings: dict = field(default_factory=dict)
    problems: dict = field(default_factory=dict)
    rungs: dict = field(default_factory=dict)

    def best(self, contender):
        """Best time in seconds, or None."""
        timing = self.timings.get(contender)
        return timing and timing["best"]

    def ratio(self, numerator, denominator):
        """Best time of one contender over that of another, or None."""
        above, below = self.best(numerator), self.best(denominator)
        return above / below if above and below else None

    def rate(self, contender):
        """Multiply-adds per second at the best time, or None."""
        best = self.best(contender)
        return self.layer.macs / best if best else None

    def to_json(self):
        """Return everything, with the sizes that follow from the layer."""
        fields = {"layer": asdict(self.layer), "output": self.layer.output, "macs": self.layer.macs}
        return fields | {key: getattr(self, key) for key in ("threads", "timings", "problems", "rungs")}


def race(team, layers, contenders, seconds):
    """Time contenders on layers, all of them taking turns.

    Parameters
    ----------
    team : Team
    layers : list of Layer
    contenders : list of str
        Keys in `CONTENDERS`.  One that is missing, unaffordable or wrong is left out, and the result says why.
    seconds : float
        Time to spend, roughly: two calls are made however long they take.

    Returns
    -------
    list of Result
        One for each layer.
    """
    results = {layer: Result(layer, team.threads) for layer in layers}
    entrants = []
    for layer in layers:
        entrants += _admit(team, results[layer], contenders)
    allowance = seconds / max(1, len(entrants))
    for _ in range(ROUNDS):
        for entrant in entrants:
            _take_turn(team, entrant, allowance, results[entrant.layer].problems)
        entrants.reverse()
    for entrant in entrants:
        if entrant.samples:
            results[entrant.layer].timings[entrant.contender.key] = entrant.timing
    team.release()
    return list(results.values())


def _admit(team, result, contenders):
    """Prepare the contenders that can run the layer, agree on its result, and are to be timed further."""
    admitted, reference = [], None
    for contender in sorted((CONTENDERS[key] for key in contenders), key=lambda contender: contender.tolerance):
        entrant = Entrant(contender, result.layer)
        if not contender.affordable(result.layer):
            result.problems[contender.key] = "not run: too slow or too large here"
            continue
        try:
            found = team.ask(contender.home, "prepare", entrant=entrant.id, contender=contender.key, layer=result.layer)
            if contender.package == "refconv":
                outputs = result.layer.macs // result.layer.terms
                result.rungs[contender.key] = team.ask(contender.home, "rungs", entrant=entrant.id, outputs=outputs)
        except WorkerError as error:
            result.problems[contender.key] = str(error)
            continue
        # The most accurate contender goes first, and the others must agree with it.
        reference = reference or (contender, found)
        wrong = _disagreement(contender, found, *reference)
        if wrong:
            result.problems[contender.key] = wrong
        elif found["seconds"] > contender.once_above:
            entrant.samples.append(found["seconds"])
            result.timings[contender.key] = entrant.timing
        else:
            admitted.append(entrant)
    return admitted


def _disagreement(contender, found, reference, expected):
    """Return a sentence if two contenders' fingerprints differ by more than their tolerances, else None."""
    if found["shape"] != expected["shape"]:
        return f"WRONG: output shape {found['shape']}, {reference.title} has {expected['shape']}"
    tolerance = max(contender.tolerance, reference.tolerance)
    allowed = tolerance * max(expected["scale"], *(abs(value) for value in expected["values"]))
    difference = max(abs(a - b) for a, b in zip(found["values"], expected["values"], strict=True))
    if not difference <= allowed:  # also when it is NaN
        return f"WRONG: {difference:.3g} away from {reference.title}, at most {allowed:.3g} can be rounding"
    return None


def _take_turn(team, entrant, allowance, problems):
    """Let an entrant run for its share of a round, unless its time is up."""
    if entrant.contender.key in problems:
        return
    next_call = min(entrant.samples, default=0)
    if len(entrant.samples) >= LEAST_SAMPLES and entrant.spent + next_call > allowance:
        return
    try:
        samples = team.ask(entrant.contender.home, "time", entrant=entrant.id, seconds=allowance / ROUNDS)
    except WorkerError as error:
        problems[entrant.contender.key] = str(error)
        return
    entrant.samples += samples
    entrant.spent += max(sum(samples), allowance / ROUNDS)
