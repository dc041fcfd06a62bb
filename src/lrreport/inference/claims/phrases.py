"""How findings are written: the phrases of each claim, read from phrases.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Tone = Literal["good", "bad", "neutral"]
SPAN = "95 % interval {low} to {high}, n = {n}"
PAIR = f"{SPAN}, p {{p}}"
SHARED = {  # claims that take their cases from these groups; any claim not listed has a group of its name
    "higher": ("direction",),
    "lower": ("direction",),
    "slightly_higher": ("direction", "slightly"),
    "slightly_lower": ("direction", "slightly"),
    "practically_equal": ("direction", "practically_equal"),
    "best": ("lead",),
    "worst": ("lead",),
    "still_improving": ("slope",),
    "levelled_off": ("slope",),
    "overfits": ("overfitting",),
    "does_not_overfit": ("overfitting",),
    "choice": ("choice",),
    "best_combination": ("choice",),
}


@dataclass(frozen=True)
class Phrase:
    """The wording of a finding in a case: sentence, word and size are templates of its evidence and names."""

    sentence: str
    word: str
    size: str = ""
    tone: Tone = "neutral"


def load_phrases() -> dict[str, dict[str, Phrase]]:
    """Return the phrases of each group by case."""
    groups = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8"))
    for cases in groups.values():
        for phrase in cases.values():
            phrase["sentence"] = phrase["sentence"].replace("{pair}", PAIR).replace("{span}", SPAN)
    return {name: {case: Phrase(**phrase) for case, phrase in cases.items()} for name, cases in groups.items()}


GROUPS = load_phrases()


def find_phrase(claim: str, case: str) -> Phrase:
    """Return the phrase of a claim in a case; of several groups the last that has the case."""
    return next(GROUPS[group][case] for group in reversed(SHARED.get(claim, (claim,))) if case in GROUPS[group])
