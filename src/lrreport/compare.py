"""Compare two reports on the same question: answers, verdicts, numbers, settings, code and data."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from html import escape
from pathlib import Path
from typing import Any

from lrreport.errors import LrreportError
from lrreport.project import expand_user
from lrreport.record.contents import Contents, read_contents
from lrreport.record.files import replace_file
from lrreport.record.record import read_contents as read_record
from lrreport.record.store import flatten
from lrreport.report.freshness import FINDINGS, read_findings
from lrreport.study.formats import count_nouns, list_words
from lrreport.study.metrics import Metric, find_metric

SHOWN_SEEDS = 12
SHOWN = 40  # rows of a kind that are printed; the page has all
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
.table {{ overflow-x: auto; }} table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ text-align: left; vertical-align: top; padding: 0.3rem 1rem 0.3rem 0;
         border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent); }}
</style></head><body><main>
<h1>{title}</h1>
{body}
</main></body></html>
"""


@dataclass(frozen=True)
class Change:
    """A difference: its subject, and its value in each report."""

    about: str
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """The differences between two reports by kind: answers, verdicts, numbers, settings, code and data."""

    names: tuple[str, str]
    changes: Mapping[str, tuple[Change, ...]]

    def to_text(self) -> str:
        """Return the differences as lines for a terminal."""
        lines = [f"before: {self.names[0]}", f"after:  {self.names[1]}"]
        for kind, changes in self.changes.items():
            if changes:
                lines += ["", f"{kind} ({len(changes)})"]
                lines += [f"  {change.about}: {change.before} -> {change.after}" for change in changes[:SHOWN]]
                lines += [f"  and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
        if not any(self.changes.values()):
            lines.append("no difference")
        return "\n".join(lines)

    def to_html(self) -> str:
        """Return the differences as an HTML page."""
        parts = [f"<p>Before: {escape(self.names[0])}<br>After: {escape(self.names[1])}</p>"]
        for kind, changes in self.changes.items():
            if not changes:
                continue
            rows = "".join(
                f"<tr><th scope='row'>{escape(about)}</th><td>{escape(before)}</td><td>{escape(after)}</td></tr>"
                for about, before, after in map(astuple, changes)
            )
            head = "<tr><th scope='col'>what</th><th scope='col'>before</th><th scope='col'>after</th></tr>"
            parts.append(
                f"<h2>{escape(kind)}</h2><div class='table'><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
            )
        if not any(self.changes.values()):
            parts.append("<p>The two reports say the same.</p>")
        return PAGE.format(title="Two reports compared", body="\n".join(parts))


def compare_reports(before: Path, after: Path, page: str | None = None) -> int:
    """Print the differences between two reports, and write them to `page` if given; return the exit status.

    Raises LrreportError for a folder without a report.
    """
    comparison = compare(before, after)
    print(comparison.to_text())
    if page is not None:
        target = expand_user(page)
        replace_file(target, comparison.to_html().encode())
        print(target)
    return 0


def compare(before: Path, after: Path) -> Comparison:
    """Return the differences between two reports, given by their folders or findings.json."""
    folders = [_find_folder(expand_user(path)) for path in (before, after)]
    old, new = (read_findings(folder) for folder in folders)
    behind = [_describe_behind(folder) for folder in folders]
    return Comparison(
        (str(folders[0]), str(folders[1])),
        {
            "answer": tuple(_compare_texts({"answer": old["answer"]}, {"answer": new["answer"]})),
            "verdicts": tuple(_compare_texts(_list_verdicts(old), _list_verdicts(new))),
            "numbers": tuple(_compare_numbers(old, new)),
            "settings": tuple(_compare_texts(behind[0][0], behind[1][0])),
            "code, data and versions": tuple(_compare_texts(behind[0][1], behind[1][1])),
        },
    )


def _find_folder(path: Path) -> Path:
    return path.parent if path.name == FINDINGS else path


def _name_levels(findings: Mapping[str, Any]) -> dict[int, str]:
    return {int(row["level"]): str(row["name"]) for row in findings["decision"]["table"]}


def _name_finding(finding: Mapping[str, Any], levels: Mapping[int, str]) -> str:
    arguments = {
        name: levels.get(value, value) if name in ("level", "than") else value
        for name, value in finding["arguments"].items()
    }
    about = ", ".join(f"{name} {value}" for name, value in arguments.items())
    return f"{finding['claim'].replace('_', ' ')} ({about})" if about else finding["claim"].replace("_", " ")


def _list_verdicts(findings: Mapping[str, Any]) -> dict[str, str]:
    levels = _name_levels(findings)
    return {_name_finding(finding, levels): finding["verdict"] for finding in findings["findings"]}


def _compare_texts(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name, "absent"), new.get(name, "absent"))


def _compare_numbers(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the changed means of levels and effects of findings, with the differences."""
    metric = find_metric(str(new["decision"]["metric"]))
    if old["decision"]["metric"] != new["decision"]["metric"]:
        yield Change("metric that decides", str(old["decision"]["metric"]), str(new["decision"]["metric"]))
        return
    means = [{row["name"]: row.get("mean") for row in findings["decision"]["table"]} for findings in (old, new)]
    for name in (name for name in means[0] if name in means[1]):
        yield from _compare_number(f"mean of {name}", means[0][name], means[1][name], metric)
    effects = []
    for findings in (old, new):
        levels = _name_levels(findings)
        effects.append({_name_finding(finding, levels): finding for finding in findings["findings"]})
    for name, finding in effects[0].items():
        if name in effects[1]:
            of = find_metric(str(finding["arguments"].get("metric", "")))
            yield from _compare_number(f"effect of {name}", finding["effect"], effects[1][name]["effect"], of)


def _compare_number(about: str, old: Any, new: Any, metric: Metric | None) -> Iterator[Change]:
    if old == new or not isinstance(old, int | float) or not isinstance(new, int | float):
        return
    difference = f"{new - old:+.4g}"
    if metric is not None:
        difference = metric.format_difference(new - old)
        yield Change(about, metric.format(old), f"{metric.format(new)} ({difference})")
    else:
        yield Change(about, f"{old:.4g}", f"{new:.4g} ({difference})")


def _describe_behind(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings of a report, and the digests and versions of its runs, as texts by name."""
    try:
        contents = read_contents(folder)
    except LrreportError:
        return {}, {}
    study = contents.study
    settings = {name: str(value) for name, value in flatten(study.fixed).items()}
    settings |= {
        f"vary.{factor.name}": list_words([factor.format(value) for value in factor.values]) for factor in study.factors
    }
    settings |= {
        "seeds": _list_seeds(contents),
        "runs": str(len(contents.runs)),
    }
    settings |= {f"decide.{name}": str(value) for name, value in study.decide.model_dump().items()}
    behind: dict[str, set[str]] = {}
    for run in contents.runs:
        for name, value in _list_identity(folder / run.folder).items():
            behind.setdefault(name, set()).add(value)
    return settings, {name: list_words(sorted(values)) for name, values in behind.items()}


def _list_seeds(contents: Contents) -> str:
    seeds = sorted({run.seed for run in contents.runs if not run.fresh}, key=str)
    shown = ", ".join(map(str, seeds[:SHOWN_SEEDS]))
    return f"{count_nouns(len(seeds), 'seed')}: {shown}{' ...' if len(seeds) > SHOWN_SEEDS else ''}"


def _list_identity(folder: Path) -> dict[str, str]:
    try:
        identity = read_record(folder).get("identity", {})
    except LrreportError:
        return {}
    digests = {f"code of {name}": digest[:12] for name, digest in identity.get("producer", {}).items() if name != "run"}
    digests |= {f"data in {name}": digest[:12] for name, digest in identity.get("data", {}).items()}
    return digests | {str(name): str(value) for name, value in identity.get("versions", {}).items()}
