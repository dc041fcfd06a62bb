"""The tables of results, settings and provenance, as text."""
