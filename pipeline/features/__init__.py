"""Feature spaces in which images are compared: pixels, and the penultimate layer of a classifier trained here."""
