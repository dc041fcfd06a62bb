"""How often a report on a few seeds is wrong: studies of 5 seeds drawn from 40 real seeds, against all 40.

`python -m benchmarks.real_seeds` trains the quick study's network on the embedded sample, once, and then draws studies
from the stored runs. A drawn study is assessed by the same functions as a report. The truth is what all seeds together say:
their mean for each level, and the effect of each claim.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lrreport.inference.assessment import Assessment, assess
from lrreport.inference.claims import Finding, ask
from lrreport.inference.looks import choose_next
from lrreport.inference.measure import measure
from lrreport.inference.measurements import END, VALUE_COLUMNS, Measurements
from lrreport.inference.sections import ask_everything
from lrreport.project import choose_outputs
from lrreport.record.store import Store, make_folder
from lrreport.report.load import load_runs_of
from lrreport.study.decide import Look
from lrreport.study.load import load_study
from lrreport.study.study import Study
from lrreport.sweep.run import Sweep
from lrreport.workflow import Workflow

RATES = (0.01, 0.007, 0.005, 0.003, 0.001, 0.0001)  # several nearly equal, 0.0001 clearly worse
N_SEEDS, N_DRAWN, N_STUDIES, N_SENTENCES = 40, 5, 2000, 400
MARGINS = (0.005, 0.02)
OPPOSITE = {"supported": "contradicted", "contradicted": "supported"}
EXTREMES = ("most_stable", "slowest")
TOLERANCE = 1e-9
Key = tuple[str, str]


@dataclass
class Tally:
    """How many drawn studies ended in each way, and in how many a claim of each name went wrong."""

    n_studies: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    intervals: Counter[str] = field(default_factory=Counter)
    sentences: Counter[str] = field(default_factory=Counter)
    n_runs: int = 0

    def share(self, count: int) -> str:
        """Return a number of studies in percent of all, with its standard error."""
        share = count / max(1, self.n_studies)
        return f"{100 * share:5.1f} % ± {100 * (share * (1 - share) / max(1, self.n_studies)) ** 0.5:.1f}"


def make_seeds(outputs: Path, rates: Sequence[float], n_seeds: int, n_jobs: int | None = None) -> Measurements:
    """Return the measurements of the quick study at these rates with seeds 0 … n − 1; stored runs are not repeated."""
    study: Study = load_study("studies/quick.toml").with_changes(
        name="real_seeds", learning_rate=list(rates), seeds=list(range(n_seeds))
    )
    workflow = Workflow(study, outputs)
    make_folder(workflow.folder)
    runs = workflow.list_runs()
    failures = Sweep(Store(outputs / "runs"), outputs / "failed").run_all(runs, n_jobs)
    if failures:
        raise RuntimeError(f"runs failed: {failures}")
    return measure(study, load_runs_of(workflow.folder, workflow.describe(runs)).kept)


def take_runs(whole: Measurements, seeds: Mapping[int, Sequence[int]], looks: Sequence[Look] = ()) -> Measurements:
    """Return the measurements of some seeds of each level (by index), as a study of those alone would have them."""
    frames = []
    for frame in (whole.runs, whole.values):
        taken = np.zeros(len(frame), dtype=bool)
        for level, chosen in seeds.items():
            taken |= ((frame.level == level) & frame.seed.isin(chosen)).to_numpy()
        frames.append(frame[taken])
    planned = tuple(sorted({seed for chosen in seeds.values() for seed in chosen}))
    return replace(whole, runs=frames[0], values=frames[1], planned=planned, looks=tuple(looks))


def keep_deciding(whole: Measurements) -> Measurements:
    """Return measurements with nothing but the values that decide: they decide the same, and are assessed sooner."""
    name, scores = whole.decide.metric, assess(whole).scores[whole.decide.metric]
    long = scores.rename_axis(index="seed", columns="level").stack().rename("value").reset_index()
    values = long.assign(metric=name, axis=END, at=np.nan)[list(VALUE_COLUMNS)]
    return replace(whole, metrics={name: whole.metric}, values=values, examples={})


def list_wrongs(drawn: Assessment, whole: Assessment) -> Iterator[str]:
    """Yield what a decision asserts against the means of all seeds, each kind once at most."""
    decision, sign = drawn.decision, whole.measurements.metric.sign
    means = sign * whole.decision.table["mean"]
    behind = means.max() - means
    table = decision.table
    if not table.may_be_best[int(behind.idxmin())]:
        yield "the best is out"
    if (behind > table.behind_at_most + TOLERANCE).any():
        yield "a level lies farther behind than stated"
    if decision.chosen is not None:
        limit = 0.0 if decision.verdict == "best" and decision.chosen == decision.leader else decision.margin or 0.0
        if behind[decision.chosen] > limit + TOLERANCE:
            yield "the choice lies farther behind than stated"
    if decision.margin is not None and any(behind[i] > decision.margin + TOLERANCE for i in decision.equal):
        yield "a level stated to be practically as good is not"
    ends = {int(table.index[0]), int(table.index[-1])}
    if any(edge.verdict == "contradicted" for edge in decision.edges) and int(behind.idxmin()) in ends:
        yield "the range is stated to be wide enough, and the best lies at its end"


def name_claim(finding: Finding) -> Key:
    """Return what identifies a claim in two reports: its name and arguments, the pair of levels in a fixed order."""
    arguments = dict(finding.arguments)
    return finding.claim, repr(sorted(arguments.items()))


def turn(finding: Finding) -> Key:
    """Return the name of the same claim with its two levels exchanged."""
    arguments = dict(finding.arguments)
    arguments["level"], arguments["than"] = arguments["than"], arguments["level"]
    return finding.claim, repr(sorted(arguments.items()))


def compare_findings(findings: Sequence[Finding], truth: Mapping[Key, Finding], tally: Tally) -> None:
    """Count for each claim whether any verdict is the opposite of that on all seeds, and any interval misses its effect."""
    wrong, missed = set(), set()
    for finding in findings:
        exchanged = "than" in finding.arguments and name_claim(finding) not in truth
        expected = truth.get(turn(finding) if exchanged else name_claim(finding))
        if expected is None:
            continue
        sign = -1 if exchanged else 1
        verdict = OPPOSITE.get(expected.verdict, expected.verdict) if exchanged else expected.verdict
        name = " ".join(filter(None, (finding.claim, finding.arguments.get("metric"))))
        tally.sentences[name] += 1
        if OPPOSITE.get(finding.verdict) == verdict:
            wrong.add(name)
        if (
            finding.low <= finding.high
            and not finding.low - TOLERANCE <= sign * expected.effect <= finding.high + TOLERANCE
        ):
            missed.add(name)
    tally.verdicts.update(wrong)
    tally.intervals.update(missed)


def ask_all(assessment: Assessment) -> list[Finding]:
    """Return every finding of the report, and the claims about the extremes, which only an earlier report asks."""
    findings = [finding for section in ask_everything(assessment) for finding in section.findings]
    return findings + [ask(name, assessment, level=level) for name in EXTREMES for level in assessment.compared]


def draw_sentences(whole: Measurements, n_studies: int, n_drawn: int, seed: int = 0) -> Tally:
    """Return how often each claim of a report on `n_drawn` seeds goes against what all seeds say."""
    rng, tally = np.random.default_rng(seed), Tally()
    truth = {name_claim(finding): finding for finding in ask_all(assess(whole))}
    for _ in range(n_studies):
        drawn = [int(s) for s in rng.choice(whole.planned, n_drawn, replace=False)]
        assessment = assess(take_runs(whole, {level.index: drawn for level in whole.levels}))
        tally.n_studies += 1
        compare_findings(ask_all(assessment), truth, tally)
    return tally


def draw_decisions(whole: Measurements, n_studies: int, n_first: int, n_looks: int, seed: int = 1) -> Tally:
    """Return what studies decide that begin with `n_first` seeds, drawn without replacement.

    With more than one look they add seeds while they are undecided, at n, 2n, 4n … seeds of the levels that may be the best.
    A study is wrong if what it says at any of its looks is.
    """
    whole = replace(keep_deciding(whole), most_seeds=n_first if n_looks == 1 else None)
    rng, tally, everything = np.random.default_rng(seed), Tally(), assess(whole)
    most = n_first * 2 ** (n_looks - 1)
    for _ in range(n_studies):
        order = [int(s) for s in rng.permutation(whole.planned)]
        sizes: dict[int, int] | None = {level.index: n_first for level in whole.levels}
        looks: list[Look] = []
        wrongs: set[str] = set()
        while sizes is not None:
            assessment = assess(take_runs(whole, {index: order[:n] for index, n in sizes.items()}, looks))
            looks.append(assessment.decision.look)
            wrongs |= set(list_wrongs(assessment, everything))
            last, sizes = sizes, choose_next(assessment.decision, sizes, most)
        tally.n_studies += 1
        tally.n_runs += sum(last.values())
        tally.outcomes[assessment.decision.verdict] += 1
        tally.outcomes.update(wrongs)
        tally.outcomes["any of these"] += bool(wrongs)
    return tally


WRONGS = (
    "the best is out",
    "a level lies farther behind than stated",
    "the choice lies farther behind than stated",
    "a level stated to be practically as good is not",
    "the range is stated to be wide enough, and the best lies at its end",
    "any of these",
)


def print_tally(title: str, tally: Tally) -> None:
    """Print the shares of studies that decide, that are wrong, and in which a claim goes wrong."""
    print(f"\n{title}: {tally.n_studies} studies, {tally.n_runs / max(1, tally.n_studies):.1f} runs each")
    for name in ("best", "good enough", "undecided", "not testable"):
        print(f"  {name:62s} {tally.share(tally.outcomes[name])}")
    for name in WRONGS:
        print(f"  wrong: {name:55s} {tally.share(tally.outcomes[name])}")


def print_claims(tally: Tally) -> None:
    """Print for each claim in which share of studies a verdict is turned, or an interval misses the effect on all seeds."""
    print(f"\n{'claim':28s} {'sentences':>9s}   a verdict turned   an interval misses   (of {tally.n_studies} studies)")
    for name, n in sorted(tally.sentences.items()):
        print(f"{name:28s} {n:9d}   {tally.share(tally.verdicts[name])}     {tally.share(tally.intervals[name])}")


def main() -> int:
    """Parse the command line, train, draw and print."""
    parser = argparse.ArgumentParser(description="How often a report on a few seeds is wrong, against many real seeds.")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, metavar="RATE")
    parser.add_argument("--seeds", type=int, default=N_SEEDS, metavar="N", help="seeds trained (default: %(default)s)")
    parser.add_argument("--drawn", type=int, default=N_DRAWN, metavar="N", help="of a study (default: %(default)s)")
    parser.add_argument("--studies", type=int, default=N_STUDIES, metavar="N", help="drawn (default: %(default)s)")
    parser.add_argument("--sentences", type=int, default=N_SENTENCES, metavar="N", help="studies of which every sentence "
                        "is checked (default: %(default)s)")  # fmt: skip
    parser.add_argument("--margins", type=float, nargs="+", default=MARGINS, metavar="M",
                        help="differences in accuracy that count as small (default: 0.005 0.02)")  # fmt: skip
    parser.add_argument("--jobs", type=int, metavar="N", help="runs at once")
    parser.add_argument("--outputs", type=Path, default=choose_outputs(None), metavar="DIR")
    parsed = parser.parse_args()
    whole = make_seeds(parsed.outputs.resolve(), parsed.rates, parsed.seeds, parsed.jobs)
    everything = assess(whole)
    print(f"of {parsed.seeds} seeds: mean and standard deviation of the {whole.metric.label}, failures")
    for level in whole.levels:
        row, values = everything.decision.table.loc[level.index], everything.scores[whole.metric.name][level.index]
        print(f"  {level.name:8s} {100 * row['mean']:6.2f} % {100 * values.std():6.2f} {row.n_failed:4.0f}")
    n_looks = int(np.log2(parsed.seeds / parsed.drawn)) + 1
    for margin in parsed.margins:
        with_margin = replace(whole, decide=whole.decide.model_copy(update={"margin": margin}))
        for looks in (1, n_looks):
            title = f"margin {100 * margin:g} points, {parsed.drawn} seeds" + (
                f", up to {looks} looks" if looks > 1 else ""
            )
            print_tally(title, draw_decisions(with_margin, parsed.studies, parsed.drawn, looks))
    print_claims(draw_sentences(whole, parsed.sentences, parsed.drawn))
    return 0


if __name__ == "__main__":
    sys.exit(main())
