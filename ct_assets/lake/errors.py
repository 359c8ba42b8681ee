"""What is wrong with a whole source, as opposed to a row of it. Bad rows are not errors: they go to quarantine."""


class ContractBroken(ValueError):  # noqa: N818 says what happened, like KeyboardInterrupt
    """A source cannot be taken in: columns, types, time zone, or nothing in it. Every problem is named at once."""

    def __init__(self, source: str, *problems: str) -> None:
        self.source = source
        self.problems = problems
        super().__init__(f"{source}: " + "; ".join(problems))
