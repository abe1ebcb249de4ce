"""Each file tells how far somebody stands."""
