"""The record of a run: schema, identity, and the store of recorded runs."""
