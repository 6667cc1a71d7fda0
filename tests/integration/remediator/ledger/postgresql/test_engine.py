from tests.unit.remediator.engine.test_engine import *
