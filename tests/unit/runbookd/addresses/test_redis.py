"""Addresses of Redis as the users of ioredis, node-redis, go-redis, Lettuce and Celery write them."""

import pytest

from runbookd.addresses import AddressError
from runbookd.addresses.redis import read_redis_address


@pytest.mark.parametrize(
    ("text", "url", "database"),
    [
        ("redis://h", "redis://h", 0),
        ("redis://user:p%40ss@h:6379/2", "redis://user:p%40ss@h:6379", 2),
        ("redis://h?db=3", "redis://h", 3),
        ("redis://[::1]:6379/1", "redis://[::1]:6379", 1),
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", "rediss://h?ssl_cert_reqs=none", 0),
        ("redis://h?tls=true&verifyPeer=NONE", "rediss://h?ssl_cert_reqs=none", 0),
        ("valkeys://h/1", "rediss://h", 1),
        ("unix://u:p@/run/redis.sock?db=4", "unix://u:p@/run/redis.sock", 4),
        ("redis://h?password=secret", "redis://h?password=secret", 0),
        ("redis+socket:///run/redis.sock?virtual_host=2", "unix:/run/redis.sock", 2),
        ("rediss://h?skip_verify=1", "rediss://h?ssl_cert_reqs=none", 0),
    ],
)
def test_address_of_any_client_names_its_server_and_database(text: str, url: str, database: int) -> None:
    address = read_redis_address(text)
    assert (address.url, address.database, address.dropped) == (url, database, ())


def test_settings_of_other_clients_are_dropped_by_name() -> None:
    address = read_redis_address("redis://h/1?family=6&enableReadyCheck=false&max_retries=3&protocol=3")
    assert address.dropped == ("enableReadyCheck", "family", "max_retries", "protocol")
    assert (address.url, address.database) == ("redis://h", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("redis://h:6379/cache", "the database 'cache' is not a number"),
        ("redis://h/1/2", "the database in the path is not a number"),
        ("redis://user/hunter2@h/0", "the database in the path is not a number"),
        ("redis://u:12?hunter2=@h/0", "not an address"),
        ("redis://u:12/hunter2?db=@h/0", "not an address"),
        ("redis://h?maxRetires=3", "the parameter 'maxRetires' is unknown"),
        ("redis://:hunter2#@h/0", "write it as redis://"),
        ("redis://h/0#hunter2", "write a # of the password as %23"),
        ("redis://:hunter2/@h/0", "write it as redis://"),
        ("redis:///0", "the host is missing"),
        ("redis://h:0", "the port is 0"),
        ("redis-sentinel://:hunter2@h:26379/main", "addresses of a Sentinel are not supported"),
        ("redis+sentinel://:hunter2@h:26379/main", "addresses of a Sentinel are not supported"),
        ('"redis://:hunter2@h/0"', "stands in quotes"),
        ("h:6379", "not an address"),
        ("redis://:6379?hunter2@h/0", "not an address"),
        ("redis://h:6379 # hunter2", "a space"),
    ],
)
def test_wrong_address_is_refused_by_name_without_its_secret(text: str, message: str) -> None:
    with pytest.raises(AddressError, match=message) as refusal:
        read_redis_address(text)
    assert "hunter2" not in str(refusal.value)
