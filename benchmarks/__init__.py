"""How fast lrreport is, beside the plain way to do the same; it stands above the wings, as the command line does."""
