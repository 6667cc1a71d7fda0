"""A private Prometheus."""

from pathlib import Path

from demo.servers.http import answers_ok, request
from demo.servers.process import Launch
from demo.servers.server import Server
from tools.toolchain.paths import group_root, launcher


class PrometheusServer(Server):
    """Prometheus with its storage in `folder` and its configuration in the file `config`."""

    name = "prometheus"

    def __init__(self, folder: Path, config: Path, port: int | None = None) -> None:
        super().__init__(folder, port)
        self.config = config

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> Launch:
        """Return the command: on loopback only; the default is all interfaces."""
        arguments: list[str | Path] = [
            launcher("prometheus"),
            f"--config.file={self.config.absolute()}",
            f"--storage.tsdb.path={self.folder.absolute() / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--web.local-assets={group_root('servers') / 'usr/share/prometheus/web'}",
            "--web.enable-lifecycle",
        ]
        return Launch(arguments, cwd=self.folder)

    def answers(self) -> bool:
        """Return whether it has read its storage and serves queries."""
        return answers_ok(f"{self.url}/-/ready")

    def reload(self) -> None:
        """Reload configuration and rules. If they are invalid, keep the old and raise OSError."""
        request(f"{self.url}/-/reload", "POST", b"")
