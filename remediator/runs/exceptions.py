"""The exceptions of a run by its cause: whether only the mode bounds it, and whether an operator has to approve it."""

from remediator.ledger.runs import Run
from remediator.model.target import ResolvedTarget
from runbookd.inventory import Mode, own_approvals


def only_reads(target: ResolvedTarget, run: Run) -> bool:
    """Return whether no bound but the mode applies: the remediation reads for an alert or an operator."""
    return run.is_about_an_alert or (target.remediation.reads_only and not run.answers_an_alert)


def needs_approval(target: ResolvedTarget, run: Run) -> bool:
    """Return whether an operator still has to approve the run.

    The confirmation of the operator who starts a run is an approval, unless the inventory wants another operator's. The
    approval of a run covers the end of its effects.
    """
    if run.trigger == "end":
        return False
    is_of_starter = run.approved_by == run.requested_by and not own_approvals(target.inventory, run.stack)
    is_approved = run.approved_by is not None and not (target.settings.mode is Mode.APPROVE and is_of_starter)
    return not is_approved and (target.settings.mode is Mode.APPROVE or run.trigger == "operator")
