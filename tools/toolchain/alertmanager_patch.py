"""Replaces an absolute path in Debian's Alertmanager binary with a relative one.

Debian's build reads its message templates from an absolute path, has no option for it and refuses to start without
them. The patched copy has a relative path of the same length, so it finds its templates if its working directory is
the folder that it was extracted into.
"""

import re
from pathlib import Path

from tools.toolchain.errors import SetupError

# Longer strings with this start (".../alertmanager/ui" and others) are paths of other files and must stay.
_COMPILED_IN = re.compile(rb"/usr/share/prometheus/alertmanager(?!/)")
_RELATIVE = b"usr/share/prometheus/alertmanager/"


def patch_template_path(binary: Path) -> None:
    """Replace the single occurrence. Raises SetupError if the binary is not the known build."""
    patched, count = _COMPILED_IN.subn(_RELATIVE, binary.read_bytes())
    if count != 1:
        raise SetupError(
            f"the template path occurs {count} times in Alertmanager, not once",
            str(binary),
            "use prometheus-alertmanager of Debian 12",
        )
    binary.write_bytes(patched)
