"""Two indexes for retention: what has ended long ago is found without reading all that has ended since."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("run_finished", "run", ["finished_at"])
    op.create_index("episode_ended", "episode", ["ended_at"])
