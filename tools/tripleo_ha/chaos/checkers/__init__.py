"""Pure judgements of recorded histories: what was lost, doubled, or never should have been seen."""
