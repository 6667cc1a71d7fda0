"""The durable store of deliveries, episodes, runs, effects and the audit trail.

The remediator commits every step here before it takes it. This package knows nothing of the steps themselves.
"""

import logging

logging.getLogger("alembic").setLevel(logging.WARNING)  # at info it logs several lines as soon as it is imported
