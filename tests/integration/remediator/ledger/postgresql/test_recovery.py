from tests.unit.remediator.runs.test_recovery import *
