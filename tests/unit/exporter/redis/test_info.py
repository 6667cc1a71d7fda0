"""Samples from fields of INFO that a single idle server does not report."""

import pytest

from exporter.redis.info import InfoSamples, parse_info

TEXT = b"""\
# Replication\r
role:slave\r
master_host:10.0.0.1\r
master_port:6379\r
master_link_status:down\r
slave0:ip=10.0.0.2,port=6380,state=online,offset=1200,lag=3\r
slave1:ip=10.0.0.3,port=6380,state=wait_bgsave,offset=0\r
slave_priority:100\r
\r
# Persistence\r
aof_enabled:1\r
aof_last_write_status:err\r
rdb_last_bgsave_status:ok\r
aof_current_size:4096\r
\r
# Commandstats\r
cmdstat_get:calls=21,usec=175000,usec_per_call=8.33,rejected_calls=1,failed_calls=2\r
cmdstat_config|get:calls=1,usec=5,usec_per_call=5.00,rejected_calls=0,failed_calls=0\r
\r
# Errorstats\r
errorstat_WRONGTYPE:count=4\r
\r
# Memory\r
maxmemory_policy:allkeys-lru\r
mem_fragmentation_ratio:1.25\r
\r
# Keyspace\r
db0:keys=7,expires=2,avg_ttl=1500\r
db11:keys=1,expires=0,avg_ttl=0,subexpiry=0\r
"""


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, ...], float]:
    return {(sample.metric.name, *sample.labels): sample.value for sample in InfoSamples(parse_info(TEXT), 3).samples()}


@pytest.mark.parametrize(
    ("series", "value"),
    [
        (("redis_master_link_up", "10.0.0.1", "6379"), 0),
        (("redis_connected_slave_lag_seconds", "10.0.0.2", "6380", "online"), 3),
        (("redis_connected_slave_offset_bytes", "10.0.0.2", "6380", "online"), 1200),
        (("redis_aof_enabled",), 1),
        (("redis_aof_last_write_status",), 0),
        (("redis_rdb_last_bgsave_status",), 1),
        (("redis_aof_current_size_bytes",), 4096),
        (("redis_commands_total", "get"), 21),
        (("redis_commands_duration_seconds_total", "get"), 0.175),
        (("redis_commands_rejected_calls_total", "get"), 1),
        (("redis_commands_failed_calls_total", "get"), 2),
        (("redis_commands_total", "config|get"), 1),
        (("redis_errors_total", "WRONGTYPE"), 4),
        (("redis_maxmemory_policy_noeviction",), 0),
        (("redis_mem_fragmentation_ratio",), 1.25),
        (("redis_db_keys", "db0"), 7),
        (("redis_db_keys_expiring", "db0"), 2),
        (("redis_db_avg_ttl_seconds", "db0"), 1.5),
        (("redis_db_keys", "db11"), 1),
        (("redis_db_keys", "db3"), 0),
        (("redis_instance_info", "slave", "", "", "", "allkeys-lru"), 1),
    ],
)
def test_info_field_becomes_a_sample(found, series: tuple[str, ...], value: float) -> None:
    assert found[series] == value


def test_absent_info_field_gives_no_sample(found) -> None:
    names = {name for name, *_ in found}
    assert not names & {"redis_memory_used_bytes", "redis_uptime_in_seconds", "redis_aof_last_bgrewrite_status"}
    assert not [name for name, *labels in found if "wait_bgsave" in labels]  # its offset of 0 is no position
    assert ("redis_db_avg_ttl_seconds", "db3") not in found
