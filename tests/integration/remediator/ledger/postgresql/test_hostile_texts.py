from tests.unit.remediator.ledger.test_hostile_texts import *
