"""From a study to a record; the only wing with torch."""
