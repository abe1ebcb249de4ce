"""Each file reads codes."""
