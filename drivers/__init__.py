"""What touches hardware: one file per device, and the wires they hang on. Never imports `agent`."""
