"""Where third-party hardware libraries are met, one file each."""
