"""What every folder may import: errors, files, text of untrusted origin."""
