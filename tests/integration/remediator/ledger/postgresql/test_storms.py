from tests.unit.remediator.engine.test_storms import (
    test_message_of_a_storm_names_the_first_targets as test_message_of_a_storm_names_the_first_targets,
)
from tests.unit.remediator.engine.test_storms import (
    test_next_storm_is_reported_again as test_next_storm_is_reported_again,
)
