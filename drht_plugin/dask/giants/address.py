"""Addresses of what is stored: local paths, and what fsspec opens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drht_plugin.errors import InputError
from drht_plugin.extras import import_extra

EXTRA, USER = "dask", "Zarr pictures"


def is_address(text: str) -> bool:
    """Return whether a text is an address with a protocol, such as s3://…, rather than a path."""
    return "://" in text


@dataclass(frozen=True)
class Address:
    """Where a file or a Zarr group is stored.

    Attributes:
        text: an absolute local path, or an address that fsspec opens: "s3://bucket/pano.zarr".
    """

    text: str

    @classmethod
    def of(cls, given: str | os.PathLike[str]) -> Address:
        """Return the address of a path, or of an address as text.

        Raises:
            InputError: fsspec has no such file system.
            DependencyError: fsspec is missing.
        """
        text = os.fspath(given)
        if text.startswith("file://"):
            text = text.removeprefix("file://")
        if not is_address(text):
            return cls(os.path.abspath(text))
        fsspec = import_extra("fsspec", EXTRA, USER)
        try:
            fsspec.get_filesystem_class(fsspec.core.split_protocol(text)[0])
        except (ValueError, ImportError) as error:
            raise InputError(f"{text}: fsspec cannot open it: {error}") from error
        return cls(text.rstrip("/"))

    @property
    def path(self) -> Path | None:
        """The local path; None for other addresses."""
        return None if is_address(self.text) else Path(self.text)

    @property
    def name(self) -> str:
        """The last part."""
        return (
            self.text.rstrip("/").rpartition("/")[2]
            if is_address(self.text)
            else Path(self.text).name
        )

    def child(self, name: str) -> Address:
        """Return the address of something below this one."""
        return Address(f"{self.text}/{name}" if name else self.text)

    def store(self, *, read_only: bool = False) -> Any:
        """Return a Zarr store of what is here."""
        storage = import_extra("zarr", EXTRA, USER).storage
        if self.path is not None:
            return storage.LocalStore(self.path, read_only=read_only)
        return storage.FsspecStore.from_url(self.text, read_only=read_only)

    def files(self) -> tuple[Any, str]:
        """Return the fsspec file system and the path in it."""
        return import_extra("fsspec", EXTRA, USER).url_to_fs(self.text)

    def exists(self) -> bool:
        """Return whether there is a file or a folder."""
        files, path = self.files()
        return bool(files.exists(path))

    def read_bytes(self) -> bytes:
        """Return a file's bytes; raises OSError."""
        files, path = self.files()
        return files.cat_file(path)

    def write_bytes(self, data: bytes) -> None:
        """Write a small file, with the folders that it needs; raises OSError."""
        files, path = self.files()
        files.makedirs(files._parent(path), exist_ok=True)
        files.pipe_file(path, data)

    def remove(self) -> None:
        """Remove a file or a folder with all in it; nothing is nothing to remove."""
        files, path = self.files()
        if files.exists(path):
            files.rm(path, recursive=True)

    def names(self) -> set[str]:
        """Return the names in a folder; none of a missing one."""
        files, path = self.files()
        files.invalidate_cache()
        try:
            found = files.ls(path, detail=False)
        except FileNotFoundError:
            return set()
        return {each.rstrip("/").rpartition("/")[2] for each in found}

    def identity(self) -> dict[str, str]:
        """Return what tells one state of a file from another; raises OSError."""
        files, path = self.files()
        facts = files.info(path)
        known = [key for key in ("size", "mtime", "ETag", "LastModified") if key in facts]
        if known == ["size"] and "created" in facts:
            known.append("created")
        return {key: str(facts[key]) for key in known}
