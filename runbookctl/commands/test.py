"""`test`: play the cases of a policy in a simulation, and compare what happens with what they expect."""

import re
from pathlib import Path
from typing import Annotated

import typer

from runbookctl.errors import WrongUsage
from runbookctl.inventory_changes import SetOption, read_changes
from runbookctl.options import OutputOption, console
from runbookctl.printing import answers


def run_cases(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files of cases.")],
    config_file: Annotated[
        Path | None, typer.Option("--config.file", help="Test this inventory, in place of those that the files name.")
    ] = None,
    changes: SetOption = None,
    pattern: Annotated[
        str, typer.Option("--run", metavar="REGEX", help="Only the cases whose names match, as `storm|freeze`.")
    ] = "",
    output: OutputOption = answers.Format.TEXT,
) -> None:
    """Test a policy: play the cases of FILE… in a simulation; connects to nothing.

    The exit status is 0 if all cases pass, 1 if one fails, and 2 if a file cannot be used.
    """
    from runbookctl.policy.runner import run_file
    from runbookctl.policy.suite import Substitutes
    from runbookctl.printing import policy as printing

    substitutes, chosen = Substitutes(config_file, read_changes(changes)), _compiled(pattern)
    results = []
    for file in dict.fromkeys(files):
        results.append(run_file(file, substitutes, chosen))
        if output is answers.Format.TEXT:
            printing.show_file(console, results[-1])
    if output is answers.Format.JSON:
        printing.show_json(results)
    else:
        printing.show_totals(console, results)
    if any(each.problems for each in results):
        raise typer.Exit(2)
    if not any(each.cases for each in results):
        raise WrongUsage(f"no case matches --run {pattern!r}; leave it out to run all")
    if any(each.failed for each in results):
        raise typer.Exit(1)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise WrongUsage(f"--run {pattern[:50]!r} is not a regular expression: {error}; correct it") from None
