"""The vocabulary of claims, each a function of the results."""

from lrreport.report.claims import combinations, curves, differences, levels, pace, search_range
from lrreport.report.claims.claim import VOCABULARY, Claim, ask, check_claim

__all__ = [
    "VOCABULARY",
    "Claim",
    "ask",
    "check_claim",
    "combinations",
    "curves",
    "differences",
    "levels",
    "pace",
    "search_range",
]
