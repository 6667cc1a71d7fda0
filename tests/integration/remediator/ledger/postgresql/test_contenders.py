from tests.invariants.test_contenders import *
