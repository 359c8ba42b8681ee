"""What a task is: entities, streams, features, labels, policy. Definitions only, as frozen data; one file per task.

How features are computed is in `feature_defs.engine`; the loop around them in `ct_assets`.
"""
