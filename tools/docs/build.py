"""Write the generated parts of docs and deploy/runbooks, and the pictures of packages: `python -m tools.docs.build`."""

import argparse

from tools.docs.alerts_tables import alerts_page
from tools.docs.boards_page import boards_page
from tools.docs.coverage_page import coverage_page
from tools.docs.invariants_page import invariants_page
from tools.docs.licences_page import licences_page
from tools.docs.metrics_tables import metrics_pages
from tools.docs.never_page import never_page
from tools.docs.permanent_fixes_page import permanent_fixes_page
from tools.docs.policy_tests_page import policy_tests_page
from tools.docs.remediation_cases import remediation_cases_page
from tools.docs.runbook_routes import runbook_routes
from tools.docs.states_page import states_page
from tools.docs.undo_page import undo_page
from tools.pictures.packages import package_pictures

PAGES = (
    *(metrics_pages, alerts_page, states_page, runbook_routes, coverage_page, invariants_page, never_page),
    *(remediation_cases_page, undo_page, permanent_fixes_page, boards_page, licences_page, policy_tests_page),
    package_pictures,
)
"""Each yields files with their expected content."""


def write() -> None:
    """Write every generated page."""
    for pages in PAGES:
        for file, text in pages():
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tools.docs.build", description=__doc__).parse_args()
    write()
