"""Access rules, addresses and type checks of the files that users and dataset documents name."""
