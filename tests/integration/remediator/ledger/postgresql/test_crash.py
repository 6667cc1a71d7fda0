from tests.invariants.test_crash import *
