from tests.unit.remediator.escalation.conftest import *
from tests.unit.remediator.escalation.test_acknowledge import *
