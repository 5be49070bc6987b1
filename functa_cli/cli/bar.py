"""The progress bar on a terminal: how far, the metrics, how fast, and how long it still takes."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from functa_cli import events
from functa_cli.cli.figures import Pace, Throttle, count, metrics
from functa_cli.cli.options import Output


class Bar:
    """Notes scroll by above one bar that stays at the bottom."""

    def __init__(self, output: Output):
        self.output, self.throttle, self.pace = output, Throttle(0.1), Pace()
        self.console = Console(stderr=True, highlight=False)
        self.rich = Progress(
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
            TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self.console,
            expand=True,
        )
        self.task: TaskID | None = None
        self.job: tuple[int, str] | None = None
        self.metrics: dict[str, float] = {}

    def note(self, event: events.Note) -> None:
        """Print a note above the bar; warnings in yellow."""
        text = " ".join(f"{self.output.stamp()}{'warning: ' if event.warning else ''}{event.text}".splitlines())
        self.console.print(Text(text, style="yellow" if event.warning else ""), soft_wrap=True)

    def progress(self, event: events.Progress) -> None:
        """Move the bar."""
        for due in self.throttle.offer(event):
            self._move(due)

    def result(self, event: events.Result) -> None:
        """Let go of the bar, then print the summary."""
        self.close()
        self.output.tell(event.values)

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        for due in self.throttle.rest():
            self._move(due)
        self.rich.stop()

    def _move(self, event: events.Progress) -> None:
        if self.task is None or self.job != (event.total, event.unit):
            self.job, self.metrics = (event.total, event.unit), {}
            self.task = self.rich.add_task("", total=event.total, figures="")
            self.rich.start()
        self.metrics.update(event.metrics)
        figures = [count(event), *metrics(self.metrics), self.pace.at(event)]
        self.rich.update(self.task, completed=event.done, figures="  ".join(filter(None, figures)))
