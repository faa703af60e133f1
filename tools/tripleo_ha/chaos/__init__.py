"""Faults against a running cluster, under client load, and the judgement of what the clients saw."""
