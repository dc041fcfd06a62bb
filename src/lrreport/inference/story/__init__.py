"""The first screen in words: kicker, answer, a paragraph of trade-offs and the next step, from findings by a fixed plan."""

from lrreport.inference.story.next_step import NextStep
from lrreport.inference.story.paragraph import find_thin
from lrreport.inference.story.story import Story, write_story

__all__ = ["NextStep", "Story", "find_thin", "write_story"]
