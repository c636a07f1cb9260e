"""The user's own step, run and observed between a snapshot and a restore."""
