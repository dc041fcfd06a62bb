"""From measurements to findings: comparisons, the choice, claims and their words; frames in, frames out."""
