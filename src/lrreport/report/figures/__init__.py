"""The figures of the report, a file each. They draw frames and metrics; they neither compute nor save."""
