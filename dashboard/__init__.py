"""User interfaces of Greenup: the dashboard, its HTTP routes, the command line and the notebook functions."""
