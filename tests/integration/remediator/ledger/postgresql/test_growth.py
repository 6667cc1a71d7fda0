from tests.unit.remediator.ledger.test_growth import *
