"""From a command line to a checked config and a work folder."""
