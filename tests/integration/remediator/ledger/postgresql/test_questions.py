from tests.unit.remediator.runs.test_questions import *
