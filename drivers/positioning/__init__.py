"""Each file tells where a vehicle is."""
