"""A private Alertmanager."""

from pathlib import Path

from demo.servers.http import answers_ok, request
from demo.servers.process import Launch
from demo.servers.server import Server
from tools.toolchain.paths import group_root, launcher


class AlertmanagerServer(Server):
    """Alertmanager with its storage in `folder` and its configuration in the file `config`."""

    name = "alertmanager"

    def __init__(self, folder: Path, config: Path, port: int | None = None) -> None:
        super().__init__(folder, port)
        self.config = config

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> Launch:
        """Return the command: on loopback only, without the cluster port on all interfaces.

        The working directory is the folder of packages: see tools/toolchain/alertmanager_patch.py.
        """
        arguments: list[str | Path] = [
            launcher("alertmanager"),
            f"--config.file={self.config.absolute()}",
            f"--storage.path={self.folder.absolute() / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        return Launch(arguments, cwd=group_root("servers"))

    def answers(self) -> bool:
        """Return whether it is ready to accept alerts."""
        return answers_ok(f"{self.url}/-/ready")

    def reload(self) -> None:
        """Reload the configuration. Raises OSError if it is invalid; the previous one stays."""
        request(f"{self.url}/-/reload", "POST", b"")
