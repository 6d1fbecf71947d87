"""Session of a visit: watch its state, call the services, and write their results to the state.

Of the dashboard's packages for the page, only this one has side effects.
"""

from dashboard.session.visit import Session

__all__ = ["Session"]
