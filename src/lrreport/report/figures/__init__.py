"""The figures of the report, one a file: each takes frames and metrics, computes nothing and saves nothing."""
