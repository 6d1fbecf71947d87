"""Base class of the state classes."""

from __future__ import annotations

from typing import Any

import param


class ConcernState(param.Parameterized):
    """Parameters of one concern, such as the request or the job."""

    def update(self, **changes: Any) -> None:
        """Change several parameters together; watchers are called only for values that differ."""
        self.param.update(**{name: value for name, value in changes.items() if getattr(self, name) != value})

    def get_parameters(self, *names: str) -> list[param.Parameter[Any]]:
        """Return parameters by name, for `panel.bind`."""
        return [self.param[name] for name in names]
