"""findings.json: all that the page shows, as plain data."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrreport.inference.assessment import Assessment

if TYPE_CHECKING:
    from lrreport.report.document import Document

SCHEMA = 2


def describe_document(document: "Document") -> dict[str, Any]:
    """Return all that the page of a document shows as plain data."""
    step = document.story.next_step
    numbers = [finding.to_json() for finding in document.find("numbers")]
    claims = [{"says": says, **finding.to_json()} for says, finding in document.earlier]
    return {
        "schema": SCHEMA,
        "study": document.loaded.study.name,
        "title": document.assessment.measurements.title,
        "kicker": document.kicker,
        "answer": document.story.answer.text,
        "paragraph": document.story.tradeoffs.text,
        "next_step": {"kind": step.kind, "title": step.title, "text": step.text, "command": document.command},
        "decision": describe_decision(document.assessment),
        "findings": [finding.to_json() for finding in document.findings],
        "earlier_report": {"claims": claims, "numbers": numbers} if claims or numbers else None,
        "colophon": document.colophon,
    }


def describe_decision(assessment: Assessment) -> dict[str, Any]:
    """Return the decision as plain data: the choice, and a row for each level."""
    decision, measurements = assessment.decision, assessment.measurements
    rows: Sequence[Mapping[str, Any]] = [
        {
            "level": level.index,
            "name": level.name,
            "values": {
                factor.name: factor.format(level.values[factor.name])
                if not factor.numeric
                else level.values[factor.name]
                for factor in measurements.factors
            },
            **{str(key): _plain(value) for key, value in decision.table.loc[level.index].items()},
        }
        for level in measurements.levels
    ]
    return {
        "metric": measurements.decide.metric, "margin": decision.margin, "verdict": decision.verdict, "reason": decision.reason,
        "leader": decision.leader, "chosen": decision.chosen, "equal": list(decision.equal),
        "look": decision.look.model_dump(mode="json"), "table": rows,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
