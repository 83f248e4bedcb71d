"""Progress over named steps."""

from __future__ import annotations

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sams_core.cli.terminal import progress_console


class Steps:
    """A bar for each step on a terminal, a line for each elsewhere.

    Parameters
    ----------
    names
        The steps in their order.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.console = progress_console()
        self.bars = Progress(
            TextColumn("{task.description:<20}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=self.console,
        )
        self.tasks: dict[str, TaskID] = {}
        self.names = names

    def __enter__(self) -> Steps:
        if self.console.is_terminal:
            self.bars.start()
            self.tasks = {
                name: self.bars.add_task(name, total=1.0, start=False) for name in self.names
            }
        return self

    def __exit__(self, *_failure: object) -> None:
        if self.console.is_terminal:
            self.bars.stop()

    def report(self, name: str, share: float) -> None:
        """Show how far a step is."""
        if self.console.is_terminal:
            if share == 0:
                self.bars.start_task(self.tasks[name])
            self.bars.update(self.tasks[name], completed=share)
        elif share == 0:
            self.console.print(f"{name} ...")
