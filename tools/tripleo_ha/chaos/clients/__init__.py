"""Clients of the cluster's services, each a process of its own where clients are on the network."""
