"""Durable lists of jobs, participants and Gateway clusters, in any database that SQLAlchemy supports."""
