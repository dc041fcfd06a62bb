"""Studies: settings, factors, metrics, and the study file."""
