//! The file of a compacted segment takes the place of the segment's. Whatever happens in between, one of both is there, and
//! either says the same of all that is not dead.

use super::remains::Remains;
use crate::bytes::wide;
use crate::disk::{Disk, create_anew};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::{Segment, check_at};
use crate::log::format::Paths;

/// Bytes written between two syncs. A commit's sync may have to wait for one of these.
const SYNC_BYTES: usize = 1 << 20;

/// Writes what remains of a segment as of `as_of`, up to where the log must be durable, and puts it in the place of the
/// segment. `check_location` is called before a file is created or renamed. If it fails, either is there.
pub(crate) fn replace(
    disk: &dyn Disk,
    paths: &Paths,
    remains: &Remains<'_>,
    as_of: Position,
    check_location: &dyn Fn() -> Result<()>,
) -> Result<Segment> {
    let temporary = paths.compacting();
    let replaced = write(disk, paths, remains, as_of, check_location);
    if replaced.is_err() {
        // Frees the space on a full disk. If it fails, the next attempt removes the file.
        let _ = disk.remove(&temporary);
    }
    replaced
}

fn write(
    disk: &dyn Disk,
    paths: &Paths,
    remains: &Remains<'_>,
    as_of: Position,
    check_location: &dyn Fn() -> Result<()>,
) -> Result<Segment> {
    let temporary = paths.compacting();
    let failed = |operation| {
        let path = temporary.clone();
        move |source| Error::io(operation, path, source)
    };
    let (header, content) = remains.encode(as_of);
    check_location()?;
    let file = create_anew(disk, &temporary).map_err(failed("create"))?;
    for (chunk, offset) in content.chunks(SYNC_BYTES).zip((0..).step_by(SYNC_BYTES)) {
        file.write_at(chunk, wide(offset)).map_err(failed("write"))?;
        file.sync().map_err(failed("sync"))?;
    }
    check_location()?;
    check_at(disk, &temporary, file.id().map_err(failed("look at"))?)?;
    let path = paths.segment(header.number);
    disk.rename(&temporary, &path).map_err(failed("rename"))?;
    let dir = paths.log();
    disk.sync_dir(&dir).map_err(|source| Error::io("sync", dir, source))?;
    let segment = Segment::open(disk, paths, header, usize::MAX)?;
    check_at(disk, &path, file.id().map_err(failed("look at"))?)?;
    Ok(segment)
}
