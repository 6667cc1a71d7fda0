from tests.unit.remediator.engine.test_bounds_in_the_engine import *
