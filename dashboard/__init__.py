"""The face of Greenup: the command line now, the page beside it."""
