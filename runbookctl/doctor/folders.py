"""Checks that the remediator can prune a folder, and whether it sees which of its files are open."""

from remediator.clients.folder import open_folder
from remediator.clients.open_files import read_open_files
from remediator.folders_check import folder_problem
from remediator.model.errors import TargetUnreachable
from runbookctl.doctor.finding import Finding
from runbookd.inventory import Stack
from runbookd.inventory.folders import OpenFiles


async def check(stack_name: str, stack: Stack, name: str) -> list[Finding]:
    """Open the folder as `prune_files` does. Nothing is deleted."""
    folder = stack.folders[name]
    try:
        with open_folder(folder.path, f"{stack_name}/folders/{name}"):
            problem = folder_problem(folder.path)
    except TargetUnreachable as error:
        problem = str(error).removeprefix(f"{stack_name}/folders/{name}: ")
    findings = [Finding(problem, "see docs/reference/remediations.md#prune_files for the rights")] if problem else []
    blind_spot = read_open_files().blind_spot
    if blind_spot is not None and folder.open_files is not OpenFiles.UNCHECKED:
        findings.append(Finding(blind_spot, "run the remediator where it sees them, or set open_files: unchecked"))
    return findings
