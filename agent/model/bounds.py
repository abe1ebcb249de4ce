"""What a setting or a field may be: those of the drivers, for all rooms here."""

from drivers.bounds import Ge, Gt, Le, Len, Lt

__all__ = ["COMMAND_ID", "NAME", "Ge", "Gt", "Le", "Len", "Lt"]

NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""Pattern of the name of a site, a kiosk or a lane: part of topics and of files' names."""
COMMAND_ID = "[A-Za-z0-9._:-]{1,64}"
"""Pattern of the id of a command."""
