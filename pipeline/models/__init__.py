"""The models: one file each, found by its name, imported only when a stage needs that model."""
