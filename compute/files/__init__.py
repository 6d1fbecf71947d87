"""Files that people name: which are read, where they may lie, and how their addresses are written."""
