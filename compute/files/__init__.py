"""Input files named by users and documents: access rules, addresses, and checks before opening."""
