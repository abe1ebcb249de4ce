"""Signatures and encodings: strict readers of bytes from strangers, for codes, bundles and commands. Pure."""
