"""Images that boot into a highly available OpenStack control plane."""
