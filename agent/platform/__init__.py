"""What the agent needs of its machine: clock, files, sockets, systemd, memory, periodic jobs."""
