"""Claims about one rate's curves: does it learn, is it stable, still improving, levelled off, overfitting?"""

from dataclasses import replace

from lrreport.report.claims.claim import Claim, Verdict, claim, not_testable, quantify, quantify_limit, why_untestable
from lrreport.report.formats import Quantity
from lrreport.report.results import Results
from lrreport.report.stats import Estimate, estimate_mean, measure_rise_from_best, measure_rises_from_earlier

ROUNDING = 1e-9


@claim
def learns(results: Results, learning_rate: float) -> Claim:
    """Training at this rate ends better than guessing."""
    margin = quantify(results.study.margins.accuracy, "val_accuracy")
    rule = (
        "95 % t interval of the validation accuracy: supported if it lies above guessing, "
        f"contradicted if it lies below that plus the margin of {margin}."
    )
    arguments = {"learning_rate": learning_rate}
    reason = why_untestable(results, [learning_rate])
    if reason:
        return not_testable("learns", arguments, reason, rule)
    chance = results.records[learning_rate].chance
    estimate = estimate_mean(results.values(learning_rate, "val_accuracy"))
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "mean": quantify(estimate.mean, "val_accuracy"),
        "low": quantify_limit(estimate.low, "val_accuracy"),
        "high": quantify_limit(estimate.high, "val_accuracy"),
        "chance": quantify(chance, "val_accuracy"),
        "margin": margin,
        "n": Quantity(estimate.n, "count"),
    }
    # Seeds that all give one class have no spread but for rounding.
    verdict = _decide(estimate.low > chance + ROUNDING, estimate.high < chance + margin.value)
    even = chance * len(results.records[learning_rate].class_names) < 1 + ROUNDING
    guessing = "guessing" if even else "always naming the most frequent class"
    opening = {
        "supported": "{rate} learns",
        "contradicted": "{rate} fails to learn",
        "not distinguishable": "Whether {rate} learns is undecided",
    }[verdict]
    text = (
        f"{opening}: it ends at {{mean}} validation accuracy (95 % interval {{low}} to {{high}}, n = {{n}}), "
        f"and {guessing} gives {{chance}}."
    )
    sentence = text.format_map(evidence)
    return Claim(
        "learns", arguments, verdict, sentence, rule, estimate.n,
        estimate.mean - chance, estimate.low - chance, estimate.high - chance, "points", evidence,
    )  # fmt: skip


@claim
def trains_stably(results: Results, learning_rate: float) -> Claim:
    """No seed diverged at this rate, and none's validation loss ever rose by more than the margin."""
    margin = quantify(results.study.margins.loss, "val_loss")
    rule = f"Supported if no seed diverged and no validation loss rose by more than {margin} nats from one epoch to the next."
    seeds = results.records[learning_rate].seeds
    diverged = [seed for seed in seeds if seed.status == "diverged"]
    rises = results.curves(learning_rate, "val_loss").diff().max()  # by seed; NaN for one that broke in epoch 1
    evidence = {
        "rate": Quantity(learning_rate, "rate"),
        "margin": margin,
        "n": Quantity(len(seeds), "count"),
        "n_diverged": Quantity(len(diverged), "count"),
        "n_rising": Quantity(int((rises > margin.value).sum()), "count"),
    }
    if rises.notna().any():
        evidence["largest_rise"] = quantify(max(0.0, float(rises.max())), "val_loss")
    verdict: Verdict = "contradicted"
    if diverged:
        text = f"Training at {{rate}} diverged for {_some_of(len(diverged), len(seeds))}."
    elif evidence["n_rising"].value:
        text = (
            f"Training at {{rate}} is not stable: for {_some_of(int(evidence['n_rising'].value), len(seeds))} the validation "
            "loss rose by more than {margin} nats from one epoch to the next, at most by {largest_rise}."
        )
    elif "largest_rise" not in evidence:
        verdict, text = "supported", f"Training at {{rate}} is stable: {_none_of(len(seeds))} diverged."
    else:
        verdict = "supported"
        text = (
            f"Training at {{rate}} is stable: {_none_of(len(seeds))} diverged, and from one epoch to the next the "
            "validation loss never rose by more than {largest_rise} nats."
        )
        if evidence["largest_rise"].value == 0:
            text = f"Training at {{rate}} is stable: {_none_of(len(seeds))} diverged, and no validation loss ever rose."
    return Claim("trains_stably", {"learning_rate": learning_rate}, verdict, text.format_map(evidence), rule, len(seeds),
                 evidence=evidence)  # fmt: skip


def _some_of(n: int, n_seeds: int) -> str:
    if n < n_seeds:
        return f"{n} of {n_seeds} seeds"
    return "its only seed" if n == 1 else f"all {n} seeds"


def _none_of(n: int) -> str:
    return "its only seed has not" if n == 1 else f"none of its {n} seeds has"


@claim
def still_improving(results: Results, learning_rate: float) -> Claim:
    """The validation loss still falls in the last epoch."""
    margin = results.study.margins.loss
    rule = (
        "95 % t interval of the fall of the validation loss in the last epoch: supported if it lies above 0, "
        f"contradicted if it lies below 0 or within {quantify(margin, 'val_loss')} nats of it."
    )
    return _judge_last_fall(results, "still_improving", learning_rate, rule)


@claim
def levelled_off(results: Results, learning_rate: float) -> Claim:
    """The validation loss changes by less than the margin in the last epoch."""
    margin = results.study.margins.loss
    rule = (
        "95 % t interval of the fall of the validation loss in the last epoch: supported if it lies within "
        f"{quantify(margin, 'val_loss')} nats of 0, contradicted if it lies outside (an equivalence test)."
    )
    return _judge_last_fall(results, "levelled_off", learning_rate, rule)


def _judge_last_fall(results: Results, name: str, rate: float, rule: str) -> Claim:
    arguments = {"learning_rate": rate}
    reason = why_untestable(results, [rate])
    if reason:
        return not_testable(name, arguments, reason, rule)
    curves = results.curves(rate, "val_loss")
    margin = results.study.margins.loss
    fall = estimate_mean(curves.iloc[-2] - curves.iloc[-1])
    within = -margin < fall.low and fall.high < margin
    if name == "still_improving":
        verdict = _decide(fall.low > 0, fall.high < 0 or within)
    else:
        verdict = _decide(within, fall.low > margin or fall.high < -margin)
    evidence = {
        "rate": Quantity(rate, "rate"),
        "epoch": Quantity(float(curves.index[-1]), "count"),
        "change": quantify(abs(fall.mean), "val_loss"),
        "low": quantify(fall.low, "val_loss"),
        "high": quantify(fall.high, "val_loss"),
        "n": Quantity(fall.n, "count"),
        "margin": quantify(margin, "val_loss"),
    }
    moved = f"in epoch {{epoch}} its validation loss {'falls' if fall.mean >= 0 else 'rises'} by {{change}} nats"
    interval = "(95 % interval of the fall {low} to {high}, n = {n})"
    if fall.low > 0 and within:
        opening = "{rate} is still improving, but by less than the margin of {margin} nats:"
    elif fall.low > 0:
        opening = "{rate} is still improving at the end:"
    elif within:
        opening = "{rate} has levelled off at the end:"
    elif fall.high < 0:
        opening = "{rate} is getting worse at the end:"
    else:
        opening = "Whether {rate} still improves at the end is undecided:"
    sentence = f"{opening} {moved} {interval}.".format_map(evidence)
    return Claim(name, arguments, verdict, sentence, rule, fall.n, fall.mean, fall.low, fall.high, "nats", evidence)


@claim
def overfits(results: Results, learning_rate: float) -> Claim:
    """The validation loss ends above its best epoch, which the other seeds name."""
    return _judge_overfitting(results, "overfits", learning_rate)


@claim
def does_not_overfit(results: Results, learning_rate: float) -> Claim:
    """The validation loss ends no more than the margin above its best epoch."""
    asked = _judge_overfitting(results, "does_not_overfit", learning_rate)
    opposite: dict[str, Verdict] = {"supported": "contradicted", "contradicted": "supported"}
    return replace(asked, verdict=opposite.get(asked.verdict, asked.verdict), rule=f"The opposite of: {asked.rule}")


def _judge_overfitting(results: Results, name: str, rate: float) -> Claim:
    margin = quantify(results.study.margins.loss, "val_loss")
    rule = (
        "95 % t intervals of the last validation loss minus an earlier one: overfits if the interval from the best epoch of "
        f"the other seeds' mean curve lies above 0, does not if those from all earlier epochs lie below {margin} nats."
    )
    arguments = {"learning_rate": rate}
    reason = why_untestable(results, [rate], n_needed=3)
    if not reason and results.study.fixed.epochs < 2:
        reason = "with one epoch there is no best epoch to compare the last with"
    if reason:
        return not_testable(name, arguments, reason, rule)
    curves = results.curves(rate, "val_loss")
    rise = estimate_mean(measure_rise_from_best(curves))
    earlier = {epoch: estimate_mean(values) for epoch, values in measure_rises_from_earlier(curves).iterrows()}
    epoch = max(earlier, key=lambda one: earlier[one].high)  # the one that it may have risen from most
    shown = rise if rise.low > 0 else earlier[epoch]
    gap = estimate_mean(results.values(rate, "final_train_accuracy") - results.values(rate, "val_accuracy"))
    evidence = {
        "rate": Quantity(rate, "rate"),
        "epoch": Quantity(float(epoch), "count"),
        "rise": quantify(shown.mean, "val_loss"),
        "low": quantify(shown.low, "val_loss"),
        "high": quantify(shown.high, "val_loss"),
        "n": Quantity(shown.n, "count"),
        "margin": margin,
        "gap": Quantity(abs(gap.mean), "points"),
    }
    verdict = _decide(rise.low > 0, earlier[epoch].high < margin.value)
    text = {
        "supported": "{rate} overfits: its validation loss ends {rise} nats above that of the best epoch",
        "contradicted": "{rate} does not overfit: its validation loss ends less than {margin} nats above that of any earlier "
        "epoch, even of epoch {epoch}",
        "not distinguishable": "Whether {rate} overfits is undecided: its validation loss may end more than {margin} nats above "
        "that of epoch {epoch}",
    }[verdict]
    text += " (95 % interval of the rise {low} to {high}, n = {n})."
    if verdict == "supported" and rise.high < margin.value:
        text += " The whole interval is less than the margin of {margin} nats."
    sentence = f"{text} {_say_gap(gap)}".format_map(evidence)
    return Claim(name, arguments, verdict, sentence, rule, shown.n, shown.mean, shown.low, shown.high, "nats", evidence)


def _say_gap(gap: Estimate) -> str:
    side = "above" if gap.mean >= 0 else "below"
    return f"With fixed weights its training accuracy is {{gap}} points {side} its validation accuracy."


def _decide(supported: bool, contradicted: bool) -> Verdict:
    return "supported" if supported else "contradicted" if contradicted else "not distinguishable"
