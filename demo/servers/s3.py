"""A private S3 server: moto's, in memory."""

from demo.servers.http import answers_ok, request
from demo.servers.process import Launch
from demo.servers.server import Server
from tools.toolchain.paths import venv_program

# The server accepts any pair; clients require one.
ACCESS_KEY = "demo"
SECRET_KEY = "demo-secret"
REGION = "us-east-1"


class S3Server(Server):
    """S3 over HTTP with path-style addresses. A stop deletes all objects."""

    name = "s3"

    @property
    def url(self) -> str:
        """The endpoint, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> Launch:
        """Return the command: one process, which serves each request in a thread."""
        return Launch([venv_program("moto_server"), "-H", "127.0.0.1", "-p", str(self.port)], cwd=self.folder)

    def answers(self) -> bool:
        """Return whether it lists its buckets."""
        return answers_ok(f"{self.url}/")

    def create_bucket(self, name: str) -> None:
        """Create a bucket. Raises OSError if the server refuses, for example an invalid name."""
        request(f"{self.url}/{name}", "PUT", b"")

    def forget_everything(self) -> None:
        """Delete all buckets and objects."""
        request(f"{self.url}/moto-api/reset", "POST", b"")
