"""How backups are encrypted, and how they are read again."""

from pathlib import Path
from typing import Annotated, Literal

from runbookd.inventory.constraints import StringConstraints
from runbookd.inventory.secrets import Secret
from runbookd.inventory.section import Section, must_hold

AGE_KEY = r"^age1[02-9ac-hj-np-z]{58}$"
"""The public key of age that `age-keygen` prints: X25519 in Bech32."""

Recipient = Annotated[str, StringConstraints(pattern=AGE_KEY)]


class Encryption(Section):
    """The encryption of the backups that `run_backup` makes: with age for each of `recipients`, or by the storage.

    `storage` asks S3 to encrypt each object, as in AES256 or aws:kms.
    """

    recipients: tuple[Recipient, ...] = ()
    storage: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None

    @must_hold
    def _one_way(self) -> None:
        if bool(self.recipients) == (self.storage is not None):
            raise ValueError("needs either recipients, the public keys of age, or storage")

    @property
    def words(self) -> str:
        """The encryption as a marker states it."""
        return "age X25519" if self.recipients else f"{self.storage} by the storage"


class Decryption(Section):
    """The keys that read encrypted backups: the file with the identities of age, as `age-keygen` writes it."""

    identity_file: Path

    def identity_secret(self) -> Secret:
        """Return the secret of `identity_file`."""
        return Secret("decrypt.identity_file", None, self.identity_file)
