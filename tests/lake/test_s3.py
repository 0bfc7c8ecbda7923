"""The lake in a bucket of a storage that speaks S3, with keys from the environment."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from moto.server import ThreadedMotoServer

from briggs.lake.archive import Archiver
from briggs.lake.lake import open_warehouse
from briggs.lake.queries import answer
from briggs.settings import FileSettings, LakeSettings, Settings
from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import LakeUnavailable
from briggs.types.lake import LakeQuery
from tests.lake.completions import create_all, read_all

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A storage with the bucket `archive`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> Any:
    """The bucket, as Amazon's own client sees it."""
    client = get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
    )
    client.create_bucket(Bucket="archive")
    return client


def settings(folder: Path, *, endpoint: str, bucket: str = "archive") -> Settings:
    lake = LakeSettings(warehouse=f"s3://{bucket}/briggs/lake", endpoint=endpoint)
    return Settings(data=folder, file=FileSettings(lake=lake), environment=KEYS)


async def test_a_bucket(tmp_path: Path, endpoint: str, bucket: Any) -> None:
    """Archived once, read by SQL, deleted to the last object, and found again without a catalog."""
    store = await Store.open(tmp_path)
    await store.lake.begin()
    for each in create_all():
        await store.settle(each)
    warehouse = open_warehouse(settings(tmp_path, endpoint=endpoint))
    archiver = Archiver(warehouse, store, moves=True)
    until = current_time_us()
    done = await archiver.archive(organization_id="default", until_us=until)
    assert done.archived == done.deleted == len(create_all())
    archiver.begin_anew()
    assert (await archiver.archive(organization_id="default", until_us=until)).archived == 0
    assert read_all(warehouse) == create_all()
    counted = answer(warehouse, "SELECT count(*) FROM completions WHERE user = 'user-1'")
    [[users]] = counted.rows
    await store.lake.demand(LakeQuery(organization_id="default", user="user-1", created_to=until))
    assert await archiver.delete() == users > 0
    warehouse.close()
    await store.close()

    (tmp_path / "lake.db").unlink()
    again = open_warehouse(settings(tmp_path, endpoint=endpoint))
    again.open()
    assert read_all(again) == [each for each in create_all() if each.user != "user-1"]
    again.close()
    listed = bucket.list_objects_v2(Bucket="archive")["Contents"]
    keys = [each["Key"] for each in listed]
    assert all(key.startswith("briggs/lake/completions/") for key in keys)
    assert sum(key.endswith(".parquet") for key in keys) == 2, "a file for each day"
    for key in keys:
        content = bucket.get_object(Bucket="archive", Key=key)["Body"].read()
        assert b"user-1" not in content
        if key.endswith(".gz.metadata.json"):
            assert b"user-1" not in gzip.decompress(content)


async def test_a_bucket_that_is_not_there(tmp_path: Path, endpoint: str) -> None:
    """What is wrong with the storage takes one line, and the record keeps everything."""
    store = await Store.open(tmp_path)
    [first, *_] = create_all()
    await store.settle(first)
    warehouse = open_warehouse(settings(tmp_path, endpoint=endpoint, bucket="nothing"))
    archiver = Archiver(warehouse, store, moves=True)
    with pytest.raises(LakeUnavailable, match="The lake cannot be written"):
        await archiver.archive(organization_id="default", until_us=current_time_us())
    assert await store.completions.retrieve(first.id, organization_id="default") == first
    warehouse.close()
    await store.close()
