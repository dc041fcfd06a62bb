"""Runs of several machines: the report says which host each run had, and never compares their times."""

from collections.abc import Callable
from dataclasses import replace

from lrreport.report.claims.pace import sooner
from lrreport.report.explorer import describe_records, tabulate_runs
from lrreport.report.results import Results
from lrreport.report.tables import tabulate_provenance, tabulate_results

CURVES = {
    0.1: [[(1.0, 0.6), (0.5, 0.8)], [(1.1, 0.5), (0.6, 0.7)], [(1.0, 0.6), (0.5, 0.9)]],
    0.01: [[(1.5, 0.3), (0.9, 0.6)], [(1.4, 0.4), (0.9, 0.6)], [(1.5, 0.3), (0.8, 0.6)]],
    0.001: [[(2.0, 0.2), (1.5, 0.4)], [(2.0, 0.2), (1.5, 0.3)], [(1.9, 0.2), (1.4, 0.4)]],
}


def place(results: Results, **facts: list[str]) -> Results:
    """Return the results with these facts, a value for each rate."""
    records = {
        rate: record.model_copy(update={"facts": {name: values[number] for name, values in facts.items()}})
        for number, (rate, record) in enumerate(results.records.items())
    }
    return replace(results, records=records)


def test_times_on_one_machine_are_compared(make_results: Callable[..., Results]) -> None:
    results = place(make_results(CURVES), host=["a"] * 3, cpu=["x"] * 3, wall_seconds=["1", "2", "3"])
    asked = sooner(results, 0.1, 0.01)
    assert asked.sentence.endswith(" CPU seconds of training.")
    assert {"seconds", "than_seconds"} <= set(asked.evidence)
    assert "CPU seconds" in tabulate_results(results).frame
    assert "CPU seconds" in tabulate_runs(results).frame
    assert [one["wall seconds"] for one in describe_records(results)[1]] == ["1", "2", "3"]
    assert not [fact for fact in tabulate_provenance(results).frame["Fact"] if fact.startswith(("host", "other"))]


def test_times_on_several_hosts_are_not_compared(make_results: Callable[..., Results]) -> None:
    results = place(make_results(CURVES), host=["a", "b", "a"], cpu=["x"] * 3, wall_seconds=["1", "2", "3"])
    asked = sooner(results, 0.1, 0.01)
    assert asked.verdict == sooner(make_results(CURVES), 0.1, 0.01).verdict  # in epochs, which no machine changes
    assert asked.sentence.endswith(
        "; their CPU seconds are not testable, since the two were run on different machines."
    )
    assert not {"seconds", "than_seconds"} & set(asked.evidence)
    assert sooner(results, 0.1, 0.001).sentence.endswith(" CPU seconds of training.")  # both on a
    table = tabulate_results(results)
    assert list(table.frame["Host"]) == ["a", "b", "a"]
    assert "CPU seconds" not in table.frame
    assert "CPU seconds are left out, since they cannot be compared from one machine to another" in table.caption
    runs = tabulate_runs(results).frame
    assert list(runs["Host"]) == ["a"] * 3 + ["b"] * 3 + ["a"] * 3
    assert "CPU seconds" not in runs
    assert not any("wall seconds" in one for one in describe_records(results)[1])
    facts = tabulate_provenance(results).frame.set_index("Fact")["Value"]
    assert (facts["host a (x)"], facts["host b (x)"]) == ("0.1 and 0.001", "0.01")


def test_times_on_several_processors_are_not_compared(make_results: Callable[..., Results]) -> None:
    results = place(make_results(CURVES), host=["a"] * 3, cpu=["x", "y", "x"])
    assert "not testable" in sooner(results, 0.1, 0.01).sentence


def test_runs_of_other_versions_are_named(make_results: Callable[..., Results]) -> None:
    results = place(make_results(CURVES), mixed=["lrreport 9.9, not 0.1.0"] * 3)
    facts = tabulate_provenance(results).frame.set_index("Fact")["Value"]
    assert facts["other versions at 0.01"] == "lrreport 9.9, not 0.1.0"
