"""Finds tasks by name. A task is a module of this package that defines `task`."""

from importlib import import_module

from feature_defs.task import Task

TASKS = ("card_fraud",)


def load(name: str) -> Task:
    """The task called `name`.

    Raises:
        KeyError: there is no such task; the message lists those there are.
    """
    if name not in TASKS:
        raise KeyError(f"no task {name!r} in feature_defs; there is: {', '.join(TASKS)}")
    task: Task = import_module(f"feature_defs.{name}").task
    return task
