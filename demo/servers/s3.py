"""A private S3 server: moto's, in memory."""

from demo.servers.http import answers_ok, request
from demo.servers.process import Launch
from demo.servers.server import Server
from tools.toolchain.paths import venv_program

# Any pair is accepted; clients insist on having one.
ACCESS_KEY = "demo"
SECRET_KEY = "demo-secret"
REGION = "us-east-1"


class S3Server(Server):
    """S3 over HTTP with path-style addresses. All objects are gone when it stops."""

    name = "s3"

    @property
    def url(self) -> str:
        """Its endpoint, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> Launch:
        """One process; it serves each request in a thread."""
        return Launch([venv_program("moto_server"), "-H", "127.0.0.1", "-p", str(self.port)], cwd=self.folder)

    def answers(self) -> bool:
        """Lists the buckets, of which there are none at first."""
        return answers_ok(f"{self.url}/")

    def create_bucket(self, name: str) -> None:
        """Raises OSError when the server refuses, for instance an impossible name."""
        request(f"{self.url}/{name}", "PUT", b"")

    def forget_everything(self) -> None:
        """Drops all buckets and objects."""
        request(f"{self.url}/moto-api/reset", "POST", b"")
