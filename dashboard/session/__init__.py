"""The only place with effects: changes of a visit's state become calls of the services, and answers become state."""

from dashboard.session.visit import Session

__all__ = ["Session"]
