"""What holds of every claim, whatever the numbers: tried on frames drawn by hypothesis."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrreport.report import narrative
from lrreport.report.claims import VOCABULARY, Claim
from lrreport.report.results import Results

Make = Callable[..., Results]
Curves = dict[float, list[list[tuple[float, float]]]]
PAIRED = ["higher", "lower", "slightly_higher", "slightly_lower"]
OPPOSITE = {"supported": "contradicted", "contradicted": "supported"}
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

numbers = st.tuples(
    st.floats(0.0, 5.0).map(lambda loss: round(loss, 3)), st.floats(0.0, 1.0).map(lambda share: round(share, 3))
)


@st.composite
def studies(draw: Any, diverging: bool = True) -> Curves:
    """Curves of 1 to 3 rates, 1 to 5 seeds and 1 to 4 epochs; a seed may have diverged."""
    n_seeds, n_epochs = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    curve = st.lists(numbers, min_size=n_epochs, max_size=n_epochs)
    one = st.one_of(curve, curve, curve, st.just([])) if diverging else curve
    n_rates = draw(st.integers(1, 3))
    made = {rate: draw(st.lists(one, min_size=n_seeds, max_size=n_seeds)) for rate in (0.1, 0.01, 0.001)[:n_rates]}
    made[0.1][0] = draw(curve)  # so that the study has as many epochs as its curves
    return made


def ask_all(results: Results) -> list[Claim]:
    return narrative.ask_everything(results)


@FEW
@given(studies())
def test_every_claim_can_be_asked_and_written(make_results: Make, curves: Curves) -> None:
    results = make_results(curves)
    for one in [*ask_all(results), VOCABULARY["choice"](results)]:
        assert one.verdict in ("supported", "contradicted", "not distinguishable", "not testable")
        assert one.sentence.endswith((".", '"'))
        assert not any(word in one.sentence for word in ("nan", "inf ", "{", "None"))
        json.dumps(one.to_json(), allow_nan=False)
    assert "nan" not in narrative.compare_rates(results)._repr_html_()


@FEW
@given(studies(), st.randoms(use_true_random=False))
def test_the_order_of_rates_and_the_names_of_seeds_change_no_verdict(
    make_results: Make, curves: Curves, random: Any
) -> None:
    order = list(range(len(curves[0.1])))
    random.shuffle(order)
    rates = list(curves)
    random.shuffle(rates)
    renamed = {rate: [curves[rate][place] for place in order] for rate in rates}
    one, other = make_results(curves), make_results(renamed)
    for rate in curves:
        for name in ("learns", "trains_stably", "still_improving", "overfits"):
            assert VOCABULARY[name](one, rate).verdict == VOCABULARY[name](other, rate).verdict
    for name in ("all_finished", "edge_of_range", "choice", "loss_ranks_as_accuracy"):
        assert VOCABULARY[name](one).verdict == VOCABULARY[name](other).verdict


@FEW
@given(studies(diverging=False))
def test_swapping_two_rates_swaps_the_verdict(make_results: Make, curves: Curves) -> None:
    results = make_results(curves)
    if len(curves) < 2:
        return
    for metric in ("val_accuracy", "val_loss"):
        for name, opposite in (("higher", "lower"), ("lower", "higher")):
            asked = VOCABULARY[name](results, 0.1, 0.01, metric)
            swapped, turned = (
                VOCABULARY[name](results, 0.01, 0.1, metric),
                VOCABULARY[opposite](results, 0.01, 0.1, metric),
            )
            assert swapped.verdict == OPPOSITE.get(asked.verdict, asked.verdict)
            assert turned.verdict == asked.verdict
    for name in ("sooner", "more_stable"):
        asked, swapped = VOCABULARY[name](results, 0.1, 0.01), VOCABULARY[name](results, 0.01, 0.1)
        assert swapped.verdict == OPPOSITE.get(asked.verdict, asked.verdict)


@FEW
@given(studies(diverging=False))
def test_one_best_at_most(make_results: Make, curves: Curves) -> None:
    results = make_results(curves)
    for name in ("best", "worst"):
        verdicts = [VOCABULARY[name](results, rate, "val_accuracy").verdict for rate in curves]
        assert verdicts.count("supported") <= 1
        if "supported" in verdicts:
            assert verdicts.count("contradicted") == len(verdicts) - 1
