from tests.unit.remediator.reports.test_recurring import *
