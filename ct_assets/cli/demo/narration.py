"""What the demo says while it runs: a title per step, a line or two of findings, progress bars, seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


@dataclass
class Bar:
    """A progress bar: it is redrawn by time, not by step, so it may be told often."""

    progress: Progress
    task: TaskID

    def reach(self, done: int) -> None:
        """Show that `done` steps are done."""
        self.progress.update(self.task, completed=done)


@dataclass
class Narrator:
    """Speaks to one console."""

    console: Console = field(default_factory=Console)

    def title(self, text: str) -> None:
        """Announce the demo."""
        self.console.rule(f"[bold]{text}")

    def say(self, text: str) -> None:
        """One finding of the running step."""
        self.console.print(f"    {text}", highlight=False)

    @contextmanager
    def step(self, number: int, text: str) -> Iterator[None]:
        """Announce a step and show that it is running; say at its end how long it took."""
        self.console.print(f"[bold cyan]{number:>2}[/bold cyan]  [bold]{text}[/bold]", highlight=False)
        began = time.monotonic()
        yield
        self.console.print(f"    [dim]{time.monotonic() - began:.1f} s[/dim]", highlight=False)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """A turning wheel for work whose length is not known. Silent where there is no terminal."""
        with self.console.status(text):
            yield

    @contextmanager
    def bar(self, text: str, total: int, done: int = 0) -> Iterator[Bar]:
        """A progress bar from `done` to `total` that goes when the work ends."""
        columns = (TextColumn("    {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        silent = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=silent) as progress:
            yield Bar(progress, progress.add_task(text, total=total, completed=done))
