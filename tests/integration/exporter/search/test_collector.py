"""A search cluster over HTTP: health, indices and aliases of each version, and what goes wrong."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.integration.exporter.search.cluster import VERSIONS, Cluster, basic, index, serve_cluster

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
        (web.Response(status=503), "status 503; check the cluster's log"),
        (web.Response(status=302, headers={"Location": "/login"}), "status 302"),
        (web.Response(body=b"x", headers={"Content-Encoding": "br"}), "compressed with 'br'"),
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


@pytest.mark.parametrize("value", [None, "many", True, {}, []])
async def test_odd_field_costs_only_itself(start_exporter, cluster: Cluster, value: Any) -> None:
    cluster.health["unassigned_shards"] = value
    page = await (await start_exporter(inventory(cluster))).scrape()
    assert page.value("elasticsearch_up") == 1
    assert "elasticsearch_cluster_health_unassigned_shards{" not in page.text
    assert page.value("elasticsearch_cluster_health_active_shards") == 12
