"""A search cluster over HTTP: health, indices and aliases of each version, and what goes wrong."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.integration.exporter.conftest import BUSY_SECONDS
from tests.integration.exporter.http.contracts import certificate
from tests.integration.exporter.search.cluster import VERSIONS, Cluster, basic, index, serve_cluster

BOMB = gzip.compress(b" " * 40_000_000, 9)
LABELS = {"stack": "shop", "target": "main"}


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with serve_cluster(Cluster()) as served:
        yield served


def inventory(cluster: Cluster, **settings: Any) -> str:
    target = {"url": cluster.url, "refresh": "1s", "aliases": ["products", "missing"], **settings}
    return yaml.safe_dump({"stacks": {"shop": {"search": {"main": target}}}})


@pytest.mark.parametrize("version", sorted(VERSIONS))
async def test_health_of_each_version_is_read(start_exporter, cluster: Cluster, version: str) -> None:
    cluster.health |= VERSIONS[version]
    page = await (await start_exporter(inventory(cluster))).scrape()
    assert page.value("elasticsearch_up", **LABELS) == 1
    colors = [page.value("elasticsearch_cluster_health_status", color=color) for color in ("green", "yellow", "red")]
    assert colors == [0, 1, 0]
    assert page.value("elasticsearch_cluster_health_number_of_data_nodes", **LABELS) == 1
    assert page.value("elasticsearch_cluster_health_unassigned_shards", **LABELS) == 4
    assert page.value("runbook_exporter_collector_round_trips", collector="search", **LABELS) == 1


async def test_indices_and_aliases_are_read_in_the_background(start_exporter, cluster: Cluster) -> None:
    cluster.indices[".security-7"] = index(5)
    exporter = await start_exporter(inventory(cluster))
    page = await exporter.scrape_until(lambda page: "elasticsearch_alias_indices" in page.values)
    assert page.value("elasticsearch_indices_docs_primary", index="products-v3", **LABELS) == 40_000
    assert page.value("elasticsearch_indices_store_size_bytes_primary", index="orders") == 900_000
    assert page.value("elasticsearch_index_stats_search_query_total", index="orders") == 100
    assert page.value("elasticsearch_index_stats_search_query_time_seconds_total", index="orders") == 0.5
    assert page.value("elasticsearch_alias_indices", alias="products") == 1
    assert page.value("elasticsearch_alias_indices", alias="missing") == 0
    assert ".security" not in page.text


async def test_change_of_an_index_moves_its_moment(start_exporter, cluster: Cluster) -> None:
    exporter = await start_exporter(inventory(cluster))
    name = "elasticsearch_index_last_change_timestamp_seconds"
    page = await exporter.scrape_until(lambda page: name in page.values)
    first = {each: page.value(name, index=each) for each in ("orders", "products-v3")}
    cluster.indices["orders"] = index(901)
    await exporter.scrape_until(lambda page: page.value(name, index="orders") > first["orders"])
    page = await exporter.scrape()
    assert page.value(name, index="products-v3") == first["products-v3"]


@pytest.mark.parametrize("kind", ["basic", "key"])
async def test_login_comes_from_a_file(start_exporter, cluster: Cluster, tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    cluster.login = basic("metrics", "hunter2") if kind == "basic" else "ApiKey hunter2"
    login: dict[str, Any] = {"basic_auth": {"username": "metrics", "password_file": str(secret)}}
    exporter = await start_exporter(inventory(cluster, **(login if kind == "basic" else {"api_key_file": str(secret)})))
    assert (await exporter.scrape()).value("elasticsearch_up") == 1
    secret.write_text("wrong\n")
    refused = await start_exporter(inventory(cluster, **(login if kind == "basic" else {"api_key_file": str(secret)})))
    assert (await refused.scrape()).value("elasticsearch_up") == 0
    shown = (await refused.get("/metrics?debug=true"))[1]
    assert "status 401; check basic_auth or api_key_file" in shown
    assert "wrong" not in shown


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (web.Response(text="<html>"), "the answer is no JSON"),
        (web.json_response([]), "the answer has no status of a cluster"),
        (web.json_response({"status": "purple"}), "the answer has no status of a cluster"),
        (web.json_response({"status": ["red"]}), "the answer has no status of a cluster"),
        (web.Response(text="[" * 100_000), "the answer is no JSON"),
        (web.Response(status=503), "status 503; check the cluster's log"),
        (web.Response(status=302, headers={"Location": "/_cluster/health"}), "status 302; a cluster does not redirect"),
        (web.Response(body=b"x", headers={"Content-Encoding": "br"}), "compressed with 'br'"),
        (
            web.Response(body=b"\x1f\x8b\x08torn", headers={"Content-Encoding": "gzip"}),
            "the compressed body is malformed",
        ),
        (web.Response(body=BOMB, headers={"Content-Encoding": "gzip"}), "the body is larger than the exporter reads"),
    ],
)
async def test_odd_answer_is_named(start_exporter, cluster: Cluster, answer: web.Response, words: str) -> None:
    cluster.instead["/_cluster/health"] = answer
    exporter = await start_exporter(inventory(cluster))
    assert (await exporter.scrape()).value("elasticsearch_up") == 0
    assert words in (await exporter.get("/metrics?debug=true"))[1]


async def test_unreachable_cluster_is_down(start_exporter, cluster: Cluster) -> None:
    cluster.url = "http://user:hunter2@127.0.0.1:1"
    exporter = await start_exporter(inventory(cluster))
    page = await exporter.scrape()
    shown = (await exporter.get("/metrics?debug=true"))[1]
    assert page.value("elasticsearch_up") == 0
    assert "the connection is refused" in shown
    assert "hunter2" not in page.text + shown


async def test_refused_statistics_leave_the_health(start_exporter, cluster: Cluster) -> None:
    cluster.instead["_stats"] = web.json_response({"error": "x"}, status=403)
    exporter = await start_exporter(inventory(cluster))
    page = await exporter.scrape()
    assert page.value("elasticsearch_up") == 1
    assert "elasticsearch_indices_docs_primary{" not in page.text


@pytest.mark.parametrize(
    "answer",
    [
        [],
        "products",
        {"products-v3": {"aliases": ["products"]}},
        {"products-v3": {"aliases": {"products": {}}}, "orders": 3},
        {"products-v3": {"aliases": None}},
        {"error": {"type": "security_exception"}, "status": 403},
        {"error": "Not Found", "status": 404},
    ],
)
async def test_odd_answer_about_aliases_says_nothing_of_them(start_exporter, cluster: Cluster, answer: Any) -> None:
    cluster.instead["_alias"] = web.json_response(answer)
    exporter = await start_exporter(inventory(cluster))
    page = await exporter.scrape_until(lambda page: "elasticsearch_indices_docs_primary" in page.values)
    assert page.value("elasticsearch_up") == 1
    assert "elasticsearch_alias_indices{" not in page.text
    assert "the answer to /_alias is not that of a cluster" in (await exporter.get("/metrics?debug=true"))[1]


async def test_alias_of_several_indices_counts_each(start_exporter, cluster: Cluster) -> None:
    cluster.aliases = {"products": ["products-v3", "status"], "missing": []}
    exporter = await start_exporter(inventory(cluster))
    page = await exporter.scrape_until(lambda page: "elasticsearch_alias_indices" in page.values)
    assert page.value("elasticsearch_alias_indices", alias="products") == 2
    assert page.value("elasticsearch_indices_aliases", alias="products", index="status") == 1


async def test_statistics_of_another_server_are_refused(start_exporter, cluster: Cluster) -> None:
    cluster.instead["_stats"] = web.json_response([])
    exporter = await start_exporter(inventory(cluster))
    await exporter.page_with("the answer to /_stats is not that of a cluster")


async def test_cluster_that_hangs_fails_at_the_deadline(start_exporter, cluster: Cluster) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    cluster.instead["/_cluster/health"] = hang
    exporter = await start_exporter(inventory(cluster))
    page = await exporter.scrape(allowed=1.5)
    assert "no answer before the deadline" in (await exporter.get("/"))[1]
    assert page.seconds < 1.5 + BUSY_SECONDS
    assert page.value("elasticsearch_up") == 0
    assert page.value("runbook_exporter_collector_timeout", collector="search") == 1


async def test_endless_answer_ends_at_the_limit(start_exporter, cluster: Cluster, monkeypatch) -> None:
    monkeypatch.setattr("exporter.search.connection.MAX_BYTES", 4 * 2**20)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 2**20)

    cluster.instead["/_cluster/health"] = stream
    exporter = await start_exporter(inventory(cluster))
    page = await exporter.scrape()
    assert page.value("elasticsearch_up") == 0
    assert "the body is larger than the exporter reads" in (await exporter.get("/metrics?debug=true"))[1]


@pytest.mark.parametrize(
    ("server", "trusted", "words"),
    [
        ({}, True, ""),
        (
            {"valid_for": timedelta(days=-1)},
            True,
            "the certificate is refused (certificate has expired); renew or correct it",
        ),
        ({"name": "other.example"}, True, "the certificate is refused (IP address mismatch"),
        ({}, False, "the certificate is refused (unable to get local issuer certificate)"),
    ],
)
async def test_certificate_of_a_cluster_is_checked(
    start_exporter, tmp_path: Path, server: dict[str, Any], trusted: bool, words: str
) -> None:
    context, ca_file, _ = certificate(tmp_path, **server)
    async with serve_cluster(Cluster(), context) as cluster:
        exporter = await start_exporter(inventory(cluster, tls={"ca_file": str(ca_file)} if trusted else {}))
        page = await exporter.scrape()
        shown = (await exporter.get("/metrics?debug=true"))[1]
    assert page.value("elasticsearch_up") == (words == "")
    assert words in shown


@pytest.mark.parametrize("value", [None, "many", True, {}, [], 10**400, float("nan"), float("inf")])
async def test_odd_field_costs_only_itself(start_exporter, cluster: Cluster, value: Any) -> None:
    cluster.health["unassigned_shards"] = value
    page = await (await start_exporter(inventory(cluster))).scrape()
    assert page.value("elasticsearch_up") == 1
    assert "elasticsearch_cluster_health_unassigned_shards{" not in page.text
    assert page.value("elasticsearch_cluster_health_active_shards") == 12
