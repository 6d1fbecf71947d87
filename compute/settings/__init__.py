"""Settings of an installation: environment variables, home folder, and validation of locations."""

from compute.settings.environment import GIB, MIB, Settings, default_home, load_settings

__all__ = ["GIB", "MIB", "Settings", "default_home", "load_settings"]
