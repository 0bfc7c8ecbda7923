"""The only module that knows pyiceberg: opens the lake's table, commits files to it, sweeps it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from briggs.lake.columns import COLUMNS, create_schema, find_type
from briggs.types.errors import LakeUnavailable
from briggs.types.lake import LakeQuery
from briggs.types.times import EPOCH

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

NAMESPACE, NAME = "briggs", "completions"
HINT = "version-hint.text"
"""Names the newest metadata, so that engines find it without the catalog."""

_BOUNDED = ("organization_id", "created_at", "id")
"""The columns whose least and greatest values are in the manifests. No others are, so that no text
of a caller is outside of the data files."""

_LEAST_US, _GREATEST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The first and the last time of the years 1 to 9999, in Unix microseconds."""

_PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.delete.mode": "copy-on-write",
    "write.update.mode": "copy-on-write",
    "write.merge.mode": "copy-on-write",
    "write.metadata.metrics.default": "none",
    **{f"write.metadata.metrics.column.{name}": "full" for name in _BOUNDED},
    # A commit that finds another before it must not come on top of it.
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
}


def require_packages() -> None:
    """Raises `LakeUnavailable` if the packages for the lake are not installed."""
    try:
        import duckdb  # noqa: F401
        import pyarrow  # noqa: F401
        import pyiceberg.catalog.sql  # noqa: F401
    except ModuleNotFoundError as error:
        raise LakeUnavailable(
            f"The lake needs {error.name}. Install it with: pip install 'briggs[lake]'"
        ) from error


class Warehouse:
    """The place of the tables: a folder, or a prefix in a bucket. Every method blocks.

    One process at a time may write: see `archive.py`. Any number may read.
    """

    def __init__(self, address: str, *, catalog: str, storage: Mapping[str, str]) -> None:
        """`address` is an absolute path or `s3://BUCKET/PREFIX`. `catalog` is the address of the
        database that says which state of the table is the newest. `storage` has the properties of
        pyiceberg for S3.
        """
        require_packages()
        from pyiceberg.catalog.sql import SqlCatalog

        self.is_local = "://" not in address
        self.address = f"file://{address}" if self.is_local else address.rstrip("/")
        if self.is_local:
            Path(address).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._catalog = SqlCatalog(
            "briggs", uri=catalog, warehouse=self.address, pool_pre_ping="true", **storage
        )

    @property
    def location(self) -> str:
        """The address of the table."""
        return f"{self.address}/{NAME}"

    def open(self) -> Table:
        """The table to write to. It is created, found again or given new columns as needed."""
        from pyiceberg.exceptions import NoSuchTableError

        try:
            table = self._catalog.load_table((NAMESPACE, NAME))
        except NoSuchTableError:
            table = self._find_again() or self._create()
        known = {field.name for field in table.schema().fields}
        if missing := [column for column in COLUMNS if column.name not in known]:
            with table.update_schema() as update:
                for column in missing:
                    update.add_column(column.name, find_type(column))
        self._write_hint(table)
        return table

    def read(self) -> Table | None:
        """The table as it is now. None if nothing was ever archived."""
        from pyiceberg.exceptions import NoSuchTableError

        try:
            return self._catalog.load_table((NAMESPACE, NAME))
        except NoSuchTableError:
            return None

    def commit(
        self,
        table: Table,
        *,
        added: Sequence[str],
        removed: Sequence[DataFile] = (),
        summary: Mapping[str, str],
    ) -> None:
        """Add files and remove others, all in one commit, which is on the disk afterwards.

        Raises `LakeUnavailable` if another process has committed since the table was opened.
        """
        from pyiceberg.exceptions import CommitFailedException
        from pyiceberg.io.pyarrow import parquet_files_to_data_files

        files = list(parquet_files_to_data_files(table.io, table.metadata, iter(added)))
        for path in added:
            self._sync(table, path)
        try:
            with table.transaction() as transaction:
                update = transaction.update_snapshot(snapshot_properties=dict(summary))
                with update.overwrite() if removed else update.merge_append() as snapshot:
                    _separate_threads(snapshot)
                    for file in files:
                        snapshot.append_data_file(file)
                    for file in removed:
                        snapshot.delete_data_file(file)
        except CommitFailedException as error:
            raise LakeUnavailable(
                "Another process has written to the lake. It is tried again in the next round."
            ) from error
        self._sync_commit(table)
        self._write_hint(table)

    def expire(self, table: Table, *, until_ms: int | None = None) -> None:
        """Forget the states of the table before the current one, or those that end before a time,
        in Unix milliseconds.
        """
        current = table.current_snapshot()
        old = [
            each.snapshot_id
            for each in table.snapshots()
            if current is not None
            and each.snapshot_id != current.snapshot_id
            and (until_ms is None or each.timestamp_ms < until_ms)
        ]
        if old:
            table.maintenance.expire_snapshots().by_ids(old).commit()
            self._sync_commit(table)
            self._write_hint(table)

    def list_unreachable(self, table: Table, *, until_ms: int | None = None) -> Sequence[str]:
        """The files that no state of the table has, or those of them from before a time.

        Those that another process is writing are among them.
        """
        from pyarrow import fs

        filesystem, root = self._find_filesystem(table.location())
        kept = {_strip(path) for path in _list_reachable(table)}
        kept.add(_strip(f"{table.location()}/metadata/{HINT}"))
        return [
            info.path
            for info in filesystem.get_file_info(fs.FileSelector(root, recursive=True))
            if info.type == fs.FileType.File
            and _strip(info.path) not in kept
            and (until_ms is None or info.mtime_ns // 1_000_000 < until_ms)
        ]

    def delete_files(self, table: Table, paths: Sequence[str]) -> None:
        """Delete files of the table, by paths of `list_unreachable`."""
        filesystem, _ = self._find_filesystem(table.location())
        for path in paths:
            filesystem.delete_file(path)

    def list_files(self, table: Table, query: LakeQuery | None = None) -> list[DataFile]:
        """The data files that may have what a query selects. Raises `LakeUnavailable`."""
        from pyiceberg.expressions import AlwaysTrue

        condition = AlwaysTrue() if query is None else _express(query)
        with explain("be read"):
            return [task.file for task in table.scan(row_filter=condition).plan_files()]

    def open_file(self, path: str) -> Any:
        """A data file, as pyarrow's `ParquetFile`."""
        import pyarrow.parquet

        filesystem, place = self._find_filesystem(path)
        return pyarrow.parquet.ParquetFile(filesystem.open_input_file(place))

    def open_dataset(self, table: Table, paths: Sequence[str]) -> Any:
        """Data files together, as pyarrow's dataset. A column that a file lacks is null."""
        import pyarrow.dataset

        filesystem, _ = self._find_filesystem(table.location())
        return pyarrow.dataset.FileSystemDataset.from_paths(
            [self._find_filesystem(path)[1] for path in paths],
            schema=find_schema(table),
            format=pyarrow.dataset.ParquetFileFormat(),
            filesystem=filesystem,
        )

    def close(self) -> None:
        """Close the catalog."""
        self._catalog.close()

    def _create(self) -> Table:
        from pyiceberg.partitioning import PartitionField, PartitionSpec
        from pyiceberg.transforms import DayTransform, IdentityTransform

        schema = create_schema()
        owner, time = schema.find_field("organization_id"), schema.find_field("created_at")
        return self._catalog.create_table(
            (NAMESPACE, NAME),
            schema=schema,
            location=self.location,
            partition_spec=PartitionSpec(
                PartitionField(owner.field_id, 1000, IdentityTransform(), "organization"),
                PartitionField(time.field_id, 1001, DayTransform(), "day"),
            ),
            properties=_PROPERTIES,
        )

    def _find_again(self) -> Table | None:
        """The table of a warehouse whose catalog was lost, or is that of another folder."""
        self._catalog.create_namespace_if_not_exists(NAMESPACE)
        hint = f"{self.location}/metadata/{HINT}"
        filesystem, place = self._find_filesystem(hint)
        try:
            with filesystem.open_input_file(place) as opened:
                name = PurePosixPath(opened.read(200).decode().strip()).name
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return self._catalog.register_table(
            (NAMESPACE, NAME), f"{self.location}/metadata/{name}.metadata.json"
        )

    def _write_hint(self, table: Table) -> None:
        name = PurePosixPath(table.metadata_location).name.removesuffix(".metadata.json")
        filesystem, place = self._find_filesystem(f"{table.location()}/metadata/{HINT}")
        written = f"{place}.new" if self.is_local else place
        with filesystem.open_output_stream(written) as opened:
            opened.write(name.encode())
        if self.is_local:
            # A reader must never see half of it.
            filesystem.move(written, place)

    def _sync_commit(self, table: Table) -> None:
        """Let the disk have what the last commit wrote."""
        if not self.is_local:
            return
        self._sync(table, table.metadata_location)
        if (snapshot := table.current_snapshot()) is not None:
            self._sync(table, snapshot.manifest_list)
            for manifest in snapshot.manifests(table.io):
                if manifest.added_snapshot_id == snapshot.snapshot_id:
                    self._sync(table, manifest.manifest_path)

    def _sync(self, table: Table, path: str) -> None:
        if self.is_local:
            place = Path(_strip(path))
            for each in (place, place.parent):
                opened = os.open(each, os.O_RDONLY)
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)

    def _find_filesystem(self, path: str) -> tuple[Any, str]:
        """The file system of a path, as pyarrow's, and the path there."""
        from pyiceberg.io.pyarrow import PyArrowFileIO

        scheme, bucket, place = PyArrowFileIO.parse_location(path)
        if not hasattr(self, "_files"):
            self._files = PyArrowFileIO(self._catalog.properties)
        return self._files.fs_by_scheme(scheme, bucket), place


def _separate_threads(snapshot: Any) -> None:
    """Let each thread of a commit look at manifests by itself.

    pyiceberg 0.12 gives its threads one evaluator, which remembers the manifest that it looks at.
    So a manifest may seem to have nothing to remove while another thread looks at its own, and the
    commit fails: "Missing required files to delete" (`_OverwriteFiles`, 2026-11-30).
    """
    build = snapshot._build_manifest_evaluator
    snapshot._build_manifest_evaluator = lambda spec_id: lambda manifest: build(spec_id)(manifest)


def find_schema(table: Table) -> Any:
    """The table's schema, as pyarrow's."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    return schema_to_pyarrow(table.schema())


def count_rows(files: Collection[DataFile]) -> int:
    """How many rows data files have."""
    return sum(each.record_count for each in files)


def find_newest(files: Collection[DataFile], table: Table) -> int | None:
    """The greatest time of the completions in data files, in Unix microseconds."""
    ends = [_find_bound(each.upper_bounds, table) for each in files]
    return max((end for end in ends if end is not None), default=None)


def find_begin(file: DataFile, table: Table) -> int:
    """The least time of the completions in a data file, in Unix microseconds."""
    return _find_bound(file.lower_bounds, table) or 0


def find_day(file: DataFile) -> int:
    """The day of the completions in a data file, counted from 1970."""
    day: int = file.partition[1]
    return day


def _find_bound(bounds: Mapping[int, bytes] | None, table: Table) -> int | None:
    bound = (bounds or {}).get(table.schema().find_field("created_at").field_id)
    return int.from_bytes(bound, "little", signed=True) if bound else None


@contextmanager
def explain(what: str) -> Iterator[None]:
    """Raises `LakeUnavailable` for what the storage of the lake raises."""
    try:
        yield
    except OSError as error:
        raise LakeUnavailable(f"The lake cannot {what}: {error}") from error


def _express(query: LakeQuery) -> BooleanExpression:
    """What the manifests know of a query: whose, when, and which ids."""
    from pyiceberg import expressions

    # Its types do not know that the names of columns are terms.
    make: Any = expressions
    parts: list[Any] = [make.EqualTo("organization_id", query.organization_id)]
    if query.created_from is not None:
        parts.append(make.GreaterThanOrEqual("created_at", to_time(query.created_from).isoformat()))
    if query.created_to is not None:
        parts.append(make.LessThan("created_at", to_time(query.created_to).isoformat()))
    if query.ids is not None:
        parts.append(make.In("id", query.ids))
    expressed: BooleanExpression = make.And(*parts) if len(parts) > 1 else parts[0]
    return expressed


def to_time(time_us: int) -> datetime:
    """A time in Unix microseconds, or the nearest that Python and DuckDB know."""
    return EPOCH + timedelta(microseconds=min(max(time_us, _LEAST_US), _GREATEST_US))


def _list_reachable(table: Table) -> Iterator[str]:
    """Every file of every state of the table."""
    yield table.metadata_location
    seen: set[str] = set()
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            yield manifest.manifest_path
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield entry.data_file.file_path


def _strip(path: str) -> str:
    """A path without its scheme, as file systems list it."""
    return path.partition("://")[2] if "://" in path else path
