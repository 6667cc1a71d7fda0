from tests.unit.remediator.bounds.test_cooldown import *
