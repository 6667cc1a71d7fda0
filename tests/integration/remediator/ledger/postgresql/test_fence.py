from tests.unit.remediator.ledger.test_fence import *
