from tests.unit.remediator.runs.test_undos import *
