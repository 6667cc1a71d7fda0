"""The place to which `archive_dead_letters` exports jobs before it removes them."""

from dataclasses import field
from pathlib import Path

from runbookd.inventory.secrets import SecretStr
from runbookd.inventory.section import Section, must_hold


class Archive(Section):
    """A `folder` on disk, or a folder in object storage (`url`), with the storage's `options` or `options_file`."""

    folder: Path | None = None
    url: str = ""
    options: dict[str, SecretStr] = field(default_factory=dict)
    options_file: Path | None = None

    @must_hold
    def _one_place(self) -> None:
        if (self.folder is None) == (not self.url):
            raise ValueError("needs either folder or url")
        if self.folder is not None and not self.folder.is_absolute():
            raise ValueError(f"folder {str(self.folder)!r} is not an absolute path; write the whole path")
        if self.url and not self.url.startswith(("s3://", "gs://", "az://")):
            raise ValueError("url must begin with s3://, gs:// or az://; for a folder on disk use folder")
