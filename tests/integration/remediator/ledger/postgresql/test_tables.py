from tests.unit.remediator.ledger.test_tables import *
