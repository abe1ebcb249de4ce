"""What a setting or a field may be: those of the drivers, for all rooms here."""

from drivers.bounds import Ge, Gt, Le, Len, Lt

__all__ = ["Ge", "Gt", "Le", "Len", "Lt"]
