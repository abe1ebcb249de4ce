"""Each file drives a gate, a lamp or a buzzer."""
