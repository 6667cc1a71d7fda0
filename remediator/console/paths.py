"""The paths of the console. There the sign-in takes the place of the users in `--web.config.file`."""

LOGIN, LOGOUT = "/login", "/logout"
CONSOLE_PATHS = (
    "/",
    "/stacks/",
    "/runs",
    "/runs/",
    "/episodes/",
    "/pause",
    "/resume",
    "/approvals",
    "/approvals/",
    "/start",
    "/questions/",
    "/report",
    "/duties",
    "/duties/",
    "/audit",
    "/audit/",
    "/events",
    "/static/",
    LOGIN,
    LOGOUT,
)
