"""Each file reads temperatures."""
