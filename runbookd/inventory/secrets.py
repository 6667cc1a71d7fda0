"""A secret written in place, or the file that holds it. It is read at each use, so that a rotated file just works."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from runbookd.inventory.errors import SecretError


@dataclass(frozen=True)
class Secret:
    """Where a secret comes from. `key` is its place in the inventory, for messages; its file's is `…_file`."""

    key: str
    value: SecretStr | None
    file: Path | None

    @property
    def file_key(self) -> str:
        """The place of the file; a key or flag that can only name a file says so itself."""
        return self.key if self.key.endswith(("_file", "-file")) else f"{self.key}_file"

    @property
    def configured(self) -> bool:
        """Whether there is a source at all; it may still be unreadable."""
        return self.value is not None or self.file is not None

    def read(self) -> str:
        """Return the secret without surrounding white space.

        Raises:
            SecretError: there is none, or its file can not be read or is empty.
        """
        if self.value is not None:
            return self.value.get_secret_value()
        if self.file is None:
            raise SecretError(f"{self.key} is not set; add {self.key} or {self.file_key} to the inventory")
        return self._read_file(self.file)

    def _read_file(self, file: Path) -> str:
        try:
            text = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SecretError(
                f"{self.file_key}: can not read {file} ({error.strerror}); create it, readable by this user only"
            ) from None
        except UnicodeDecodeError:
            raise SecretError(f"{self.file_key}: {file} is not UTF-8 text") from None
        if not text:
            raise SecretError(f"{self.file_key}: {file} is empty; write the secret into it")
        return text
