from tests.unit.remediator.ledger.test_retention import *
