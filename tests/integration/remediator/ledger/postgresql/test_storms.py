from tests.unit.remediator.engine.test_storms import *
