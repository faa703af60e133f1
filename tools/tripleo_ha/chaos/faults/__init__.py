"""The catalogue of faults: each has a name, the nodes that it strikes, and how it is ended."""
