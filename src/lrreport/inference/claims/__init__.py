"""The vocabulary of claims: each is data (name, parameters, rule) and a measure; its English stands in `phrases`."""

from lrreport.inference.claims import combinations, curves, leads, overfitting, pace, pairs, search, target
from lrreport.inference.claims.claim import (
    VERDICTS,
    VOCABULARY,
    Claim,
    Finding,
    ask,
)
from lrreport.inference.claims.published_claim import ask_published, check_published_claim

__all__ = [
    "VERDICTS",
    "VOCABULARY",
    "Claim",
    "Finding",
    "ask",
    "ask_published",
    "check_published_claim",
    "combinations",
    "curves",
    "leads",
    "overfitting",
    "pace",
    "pairs",
    "search",
    "target",
]
