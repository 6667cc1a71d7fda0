from tests.unit.remediator.bounds.test_kill_switch import *
