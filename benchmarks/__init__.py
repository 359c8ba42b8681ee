"""What we claim, measured beside what others published or ship. Each is run as `python -m benchmarks.NAME`.

All share `--quick` (within a minute on two cores), `--json FILE` and, where they need input, `--data FILE`.
"""
