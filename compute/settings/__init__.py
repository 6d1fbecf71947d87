"""Settings of one installation: environment variables, the home folder, and the locations that they name."""

from compute.settings.environment import GIB, MIB, Settings, default_home, load_settings

__all__ = ["GIB", "MIB", "Settings", "default_home", "load_settings"]
