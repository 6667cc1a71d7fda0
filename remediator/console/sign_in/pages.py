"""The pages that need no session: the form of the sign-in, and one sentence for each refusal."""

from collections.abc import Mapping, Sequence
from html import escape

from aiohttp import web

from remediator.console.paths import LOGIN
from remediator.console.static_files import static_url

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPED = ("reason", "note", "at", "queue")  # the fields with words of an operator
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · runbookd</title>
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="stylesheet" href="{style}">
<link rel="icon" href="{icon}" type="image/svg+xml">
</head>
<body>
<header class="bar"><a class="brand" href="/">runbookd</a></header>
<main>
<section class="sign-in">
<h1>{title}</h1>
{content}
</section>
</main>
</body>
</html>
"""
_FORM = """<form method="post" action="{action}">
<input type="hidden" name="next" value="{next}">
<p><label>Operator <input name="operator" autocomplete="username" autocapitalize="none" required autofocus></label></p>
<p><label>Password <input type="password" name="password" autocomplete="current-password" required></label></p>
<p><button class="primary wide">Sign in</button></p>
</form>"""


def login_page(next_path: str, *, problem: str = "", status: int = 200) -> web.Response:
    """Return the form. `next_path` is where the sign-in leads."""
    problem_line = f'<p class="notice bad" role="alert"><span>{escape(problem)}</span></p>\n' if problem else ""
    return _response("Sign in", problem_line + _FORM.format(action=LOGIN, next=escape(next_path)), status)


def refusal_page(
    title: str, sentences: Sequence[str], status: int, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return a page that says what was refused, and what to do."""
    return _response(title, _paragraphs(sentences), status, headers)


def lost_form_page(
    title: str, sentence: str, status: int, form: Mapping[str, str], link: tuple[str, str]
) -> web.Response:
    """Return a page for a form that was not accepted, with what was typed: browsers do not keep it."""
    typed = [form[name].strip() for name in _TYPED if form.get(name, "").strip()]
    kept = [f"<p>You had written: <code>{escape(text)}</code></p>" for text in typed]
    address, words = link
    content = [_paragraphs([sentence]), *kept, f'<p><a class="button" href="{escape(address)}">{escape(words)}</a></p>']
    return _response(title, "\n".join(content), status)


def _paragraphs(sentences: Sequence[str]) -> str:
    return "\n".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _response(title: str, content: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    text = _PAGE.format(
        title=escape(title), content=content, style=static_url("console.css"), icon=static_url("icon.svg")
    )
    return web.Response(text=text, status=status, content_type="text/html", headers={**HEADERS, **(headers or {})})
