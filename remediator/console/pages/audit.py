"""`/audit`: the trail with its proof. Verifying it is an act: it reads the whole trail."""

from typing import Any

from aiohttp import web

from remediator.console.queries import parse_before
from remediator.console.rendering import render
from remediator.console.routes import ConsoleRoutes
from remediator.console.visitor import Visitor
from remediator.ledger import audit
from remediator.ledger.audit_pages import list_audit
from remediator.server.audit_proof import AuditProof
from runbookd.inventory import Role

PAGE_SIZE = 50
MAX_HEAD = 100  # characters


def add_routes(routes: ConsoleRoutes) -> None:
    """Add the page and the start of a verification."""
    pages = _Pages(routes)
    routes.get("/audit", pages.show, nav="Audit")
    routes.post("/audit/verify", pages.verify, Role.VIEWER)


class _Pages:
    def __init__(self, routes: ConsoleRoutes) -> None:
        self._context = routes.context
        self._proof = AuditProof(routes.context)

    async def show(self, request: web.Request, visitor: Visitor) -> web.Response:
        """Show a page of the trail, its head, the last proof, and whether the trail contains a head noted earlier."""
        before, run = parse_before(request), parse_before(request, "run")
        noted = request.query.get("head", "").strip()[:MAX_HEAD]
        async with self._context.ledger.read() as connection:
            page = await list_audit(connection, limit=PAGE_SIZE, before=before, run=run)
            head = await audit.head(connection)
            is_known = await audit.contains(connection, noted) if noted else None
        values: dict[str, Any] = {
            "entries": page.entries,
            "next": page.next,
            "before": before,
            "run": run,
            "head": head,
            "noted": noted,
            "mistake": audit.mistake_of_head(noted) if noted else None,
            "is_known": is_known,
            "proof": self._proof,
        }
        command = f"runbookctl audit verify --head {head}"
        return await render(request, visitor, "audit.html", command=command, **values)

    async def verify(self, _request: web.Request, _visitor: Visitor) -> web.StreamResponse:
        """Begin to verify the whole trail, unless that is under way; the page shows the result."""
        self._proof.start()
        raise web.HTTPSeeOther("/audit")
