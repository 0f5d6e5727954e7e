"""params.yaml, the jobs and their hashes, what is stored and what is stale.

In the order in which a run uses them:

- `yaml_loader`, `params`, `model_arguments`, `overrides`: the text of params.yaml, its schema, that of a model's block,
  the flags that change it.
- `layout`, `specs`, `catalogue`: paths of all files; what each stage reads; what params.yaml has for them.
- `raw_files`, `content_hash`, `sources`: where raw files lie, what identifies them, how they are fetched.
- `plan`, `job_hash`: every job with its inputs and its hash.
- `run_lock`, `store`, `report_inputs`: one run at a time; records of finished jobs; what the report shows.
- `staleness`, `provenance`, `estimate`: what is to do, why, and how long it takes.
- `garbage`, `snapshots`, `search`, `shares`: for `prune`, `compare`, `tune` and shorter trainings.
"""
