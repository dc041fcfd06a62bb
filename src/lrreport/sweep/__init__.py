"""From a study to its runs."""
