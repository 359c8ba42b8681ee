"""`ct demo`: the loop, once around, told while it turns. Each noun of it is a module here.

Nothing in it is part of the loop: it drops files into the inbox, runs Dagster's jobs, asks the sensor, and talks HTTP
to the service, as people and schedulers do.
"""

from ct_assets.cli.demo.command import demo

__all__ = ["demo"]
