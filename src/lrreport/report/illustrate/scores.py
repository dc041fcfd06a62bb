"""Final scores by factor, accuracies by class, and range tests."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from lrreport.inference.assessment import Assessment
from lrreport.inference.sections import rank_levels
from lrreport.inference.statistics import estimate_mean
from lrreport.report.errors_by_class import ClassErrors
from lrreport.report.figures.figure import Figure, draw_both
from lrreport.report.figures.heat_map import draw_differences
from lrreport.report.figures.range_test import draw_range_test
from lrreport.report.figures.score import ScorePanel, draw_scores
from lrreport.report.illustrate.curves import name_briefly
from lrreport.report.load import RangeCurve
from lrreport.report.table import Table
from lrreport.report.tables.results import name_column
from lrreport.study.formats import capitalize, count_nouns, format_change, list_words


def show_scores(assessment: Assessment) -> Figure | None:
    """Return the final score and the final loss against the factor, a thin line a seed; None for fewer than three levels."""
    measurements, decision = assessment.measurements, assessment.decision
    if len(measurements.factors) > 1 or len(assessment.compared) < 3:
        return None
    factor = measurements.factors[0]
    metrics = [measurements.metric]
    if assessment.loss is not None and assessment.loss.name != measurements.metric.name:
        metrics.append(assessment.loss)
    panels = []
    for metric in metrics:
        scores = assessment.scores[metric.name][list(assessment.compared)].dropna(axis=1, how="all")
        if scores.shape[1] < 3:
            continue
        values = [measurements.levels[int(i)].values[factor.name] for i in scores.columns]
        estimates = [estimate_mean(scores[i].dropna(), 1, assessment.resolutions[metric.name]) for i in scores.columns]
        limits = pd.DataFrame([[metric.clip(e.low), metric.clip(e.high)] for e in estimates], index=values).T
        best = [bool(decision.table.may_be_best[i]) for i in scores.columns]
        scores = scores.set_axis(values, axis=1)
        panels.append(
            ScorePanel(name_column(metric), metric, scores, scores.mean(), limits, pd.Series(best, index=values))
        )
    if not panels:
        return None
    label = f"{capitalize(list_words([panel.metric.label for panel in panels]))} at the end, by {factor.label}."
    wide, narrow = draw_both(lambda width: draw_scores(panels, factor, width, label))
    return Figure("scores", label, "Thin lines join the runs of one seed.", wide, narrow)


def show_classes(assessment: Assessment, errors: ClassErrors) -> Figure | None:
    """Return how far each class is above or below the leader's accuracy at the remaining levels, as a heat map."""
    names, leader = [assessment.measurements.levels[i].name for i in errors.levels], errors.base
    shown = [i for i in errors.levels if i != leader]
    if not shown:
        return None
    frame = pd.DataFrame({i: 100 * (errors.accuracy[i] - errors.accuracy[leader]) for i in shown})
    texts = frame.map(lambda value: format_change(value, 1))
    frame.columns = texts.columns = pd.Index([name_briefly(assessment.measurements, i) for i in shown])
    scores = [f"{100 * value:.1f}" for value in errors.accuracy[leader]]
    base, brief = assessment.measurements.levels[leader].name, name_briefly(assessment.measurements, leader)
    best_first = rank_levels(assessment)
    ranks = [best_first.index(i) if i in best_first else len(best_first) for i in shown]
    label = f"Test accuracy of each class: difference from {base}, for {list_words(names)}."
    wide, narrow = draw_both(lambda width: draw_differences(frame, texts, scores, ranks, f"{brief}, %", width, label))
    rows = tuple((str(name), scores[i], *texts.iloc[i]) for i, name in enumerate(frame.index))
    table = Table("", ("Class", f"{brief}, %", *map(str, frame.columns)), rows)
    caption = (
        f"Test accuracy of each class at {base} and differences from it in points, means over seeds; blue is better, "
        "orange worse."
    )
    if errors.left_out:
        caption += f" {count_nouns(errors.left_out, 'class', 'classes')} with smaller differences left out."
    return Figure("classes", label, caption, wide, narrow, table)


def show_range_test(name: str, curve: RangeCurve, tried: Sequence[float], suggested: float | None, unit: str) -> Figure:
    """Return a range test: the loss, averaged over seeds and over steps as its reading is, by the growing learning rate."""
    mean = pd.Series(curve.losses.mean(axis=0))
    smooth = mean.ewm(alpha=0.05).mean().where(np.isfinite(mean)).to_numpy()
    at = math.nan if suggested is None else suggested
    label = f"Training loss while the learning rate grows{f', {name}' if name else ''}."
    wide, narrow = draw_both(lambda width: draw_range_test(curve.rates, smooth, list(tried), at, unit, width, label))
    caption = f"{f'{capitalize(name)}: the' if name else 'The'} loss at each step, averaged over seeds and neighbouring steps."
    return Figure(f"range-test{f'-{hash_text(name)}' if name else ''}", label, caption, wide, narrow)


def hash_text(text: str) -> int:
    """Return a small number that is the same for the same text in every process."""
    return sum((i + 1) * ord(char) for i, char in enumerate(text)) % 100_000
