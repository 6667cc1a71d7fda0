"""Secrets in the inventory or in files, which are read at each use to allow rotation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbookd.inventory.errors import SecretError, unreadable_secret
from runbookd.text_files import read_text_file


class SecretStr:
    """A text that neither prints nor logs show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "**********" if self._value else ""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_wrap_validator_function(
            lambda value, read: value if isinstance(value, cls) else cls(read(value)),
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(repr, when_used="json"),
        )


@dataclass(frozen=True)
class Secret:
    """The source of a secret. `key` is its key in messages; that of its file is `…_file`."""

    key: str
    value: SecretStr | None
    file: Path | None

    @property
    def file_key(self) -> str:
        """The key of the file; the name of a key or flag that takes only a file ends so already."""
        return self.key if self.key.endswith(("_file", "-file")) else f"{self.key}_file"

    @property
    def configured(self) -> bool:
        """Whether a source is set; it may still be unreadable."""
        return self.value is not None or self.file is not None

    def read(self) -> str:
        """Return the secret without surrounding white space.

        Raises:
            SecretError: the secret is not set, or its file is unreadable or empty.
        """
        if self.value is not None:
            return self.value.get_secret_value()
        if self.file is None:
            raise SecretError(f"{self.key} is not set; add {self.key} or {self.file_key} to the inventory")
        return self._read_file(self.file)

    def _read_file(self, file: Path) -> str:
        try:
            text = read_text_file(file).strip()
        except OSError as error:
            raise unreadable_secret(self.file_key, file, error) from None
        except UnicodeDecodeError:
            raise SecretError(f"{self.file_key}: {file} is not UTF-8 text; save it as UTF-8") from None
        if not text:
            raise SecretError(f"{self.file_key}: {file} is empty; write the secret into it")
        return text
