"""Spark reads the table by its metadata, and prints what it found. It knows nothing of Briggs."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

from pyspark.sql import SparkSession

OLD, NEW = b"com/fasterxml/jackson", b"org/apache/iceberg/shaded/com/fasterxml/jackson"
DOTTED = (OLD.replace(b"/", b"."), NEW.replace(b"/", b"."))


def find_package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None, name
    return Path(spec.origin).parent


def relocate_class(data: bytes) -> bytes:
    """A class file whose constants name Jackson's classes as Iceberg's runtime does."""
    (count,) = struct.unpack_from(">H", data, 8)
    out, at, index = bytearray(data[:10]), 10, 1
    sizes = {3: 5, 4: 5, 5: 9, 6: 9, 7: 3, 8: 3, 9: 5, 10: 5, 11: 5, 12: 5}
    sizes |= {15: 4, 16: 3, 17: 5, 18: 5, 19: 3, 20: 3}
    while index < count:
        tag = data[at]
        if tag == 1:
            (length,) = struct.unpack_from(">H", data, at + 1)
            text = data[at + 3 : at + 3 + length].replace(OLD, NEW).replace(*DOTTED)
            out += bytes([1]) + struct.pack(">H", len(text)) + text
            at += 3 + length
        else:
            out += data[at : at + sizes[tag]]
            at += sizes[tag]
        # A number of eight bytes takes two places.
        index += 2 if tag in (5, 6) else 1
    return bytes(out + data[at:])


def relocate(sources: list[Path], target: Path) -> None:
    """The package that has the runtime lacks Jackson under the name that the runtime gave it. So
    it is made of Spark's own.
    """
    with zipfile.ZipFile(target, "w") as jar:
        for source in sources:
            with zipfile.ZipFile(source) as opened:
                for name in opened.namelist():
                    if name.startswith(OLD.decode()) and name.endswith(".class"):
                        moved = name.replace(OLD.decode(), NEW.decode())
                        if moved not in jar.namelist():
                            jar.writestr(moved, relocate_class(opened.read(name)))


def main(table: str, work: Path) -> None:
    jars = find_package("pyspark") / "jars"
    iceberg = find_package("snowpark_connect_deps_iceberg") / "jars"
    [runtime] = iceberg.glob("iceberg-spark-runtime-3.5_2.12-*.jar")
    jackson = [
        *jars.glob("jackson-core-2*.jar"),
        *jars.glob("jackson-databind-2*.jar"),
        *jars.glob("jackson-annotations-2*.jar"),
    ]
    relocate(jackson, work / "jackson.jar")
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.jars", f"{runtime},{work / 'jackson.jar'}")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(work))
        .getOrCreate()
    )
    found = spark.read.format("iceberg").load(table)
    rows = found.selectExpr(
        "id",
        "unix_micros(created_at) AS created_at",
        "sha2(request, 256) AS request",
        "sha2(response, 256) AS response",
        "tags",
        "get_json_object(metadata, '$.word') AS word",
    ).orderBy("id")
    for row in rows.collect():
        sys.stdout.write(json.dumps(row.asDict()) + "\n")


main(sys.argv[1], Path(sys.argv[2]))
