"""Names and values of others in a text that an operator will apply, quoted so that none can end its own quotes."""

import json
import shlex
from datetime import timedelta


def sql_name(name: str) -> str:
    """Return an SQL identifier; characters that cannot be seen are written as their numbers."""
    if name.isprintable():
        return '"' + name.replace('"', '""') + '"'
    characters = (each if each.isprintable() and each != "\\" else f"\\+{ord(each):06X}" for each in name)
    return 'U&"' + "".join(characters).replace('"', '""') + '"'


def sql_text(text: str) -> str:
    """Return an SQL literal, whatever `standard_conforming_strings` says."""
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{escaped}'"


def sql_duration(duration: timedelta) -> str:
    """Return the literal of a setting that is a time, in whole seconds if it is one."""
    milliseconds = duration // timedelta(milliseconds=1)
    return sql_text(f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s")


def script_text(text: str) -> str:
    """Return a literal of JavaScript, and of YAML unless it has rare characters that cannot be seen."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def shell_word(word: str) -> str:
    """Return one word of a shell (of POSIX 2024, and bash); characters that cannot be seen are written as numbers."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_shell_character, word)) + "'"


def _shell_character(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    return character if character.isprintable() else "".join(f"\\x{byte:02x}" for byte in character.encode())
