"""The stages: one file per command, each reads files, calls the domain, writes files."""
