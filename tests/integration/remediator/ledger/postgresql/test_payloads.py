from tests.invariants.test_payloads import *
