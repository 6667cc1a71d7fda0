"""Frees Debian's Alertmanager from a path that is compiled into it.

Debian's build opens its message templates by an absolute path, has no option to move it and refuses to start without
them. The extracted copy is given a path of the same length that is relative: it finds its templates when its working
directory is the folder that it was extracted into.
"""

import re
from pathlib import Path

from tools.toolchain.errors import SetupError

# The longer strings that start alike (".../alertmanager/ui" and so on) are other files' paths and must stay.
_COMPILED_IN = re.compile(rb"/usr/share/prometheus/alertmanager(?!/)")
_RELATIVE = b"usr/share/prometheus/alertmanager/"


def patch_template_path(binary: Path) -> None:
    """Rewrites the one occurrence. Raises SetupError where the binary is not the known build."""
    patched, count = _COMPILED_IN.subn(_RELATIVE, binary.read_bytes())
    if count != 1:
        raise SetupError(
            f"the template path stands {count} times in Alertmanager instead of once",
            str(binary),
            "this needs Debian 12's prometheus-alertmanager",
        )
    binary.write_bytes(patched)
