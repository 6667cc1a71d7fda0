from tests.invariants.test_stop_conditions import *
