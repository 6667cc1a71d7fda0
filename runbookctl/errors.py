"""The errors of `runbookctl`, each one line for the operator."""


class RemediatorRefused(Exception):
    """The remediator refused, or did not answer."""


class WrongUsage(RemediatorRefused):
    """An invalid request, or no usable operator's token."""


class PrometheusSilent(RemediatorRefused):
    """Prometheus did not answer."""


class InitError(Exception):
    """The starter files cannot be written."""
