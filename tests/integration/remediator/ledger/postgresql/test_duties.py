from tests.unit.remediator.calendar.test_duties import *
