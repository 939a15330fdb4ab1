//! The file of a compacted segment takes the place of the segment's. Whatever happens in between, one of both is there, and
//! either says the same of all that is not dead.

use std::path::Path;
use std::sync::Arc;

use super::remains::Remains;
use crate::bytes::wide;
use crate::disk::{Disk, DiskFile, create_anew};
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::Segment;
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
    let (header, content) = remains.encode(as_of)?;
    check_location()?;
    let replaced = write(disk, &temporary, &content).and_then(|file| {
        Segment::put_in_place(disk, paths, (&temporary, &*file), header, check_location)
    });
    if !matches!(replaced, Ok(_) | Err(Error::Displaced { .. })) {
        // Frees the space on a full disk. If it fails, the next attempt removes the file.
        let _ = disk.remove(&temporary);
    }
    replaced
}

/// Writes a new file, which is then on the device.
fn write(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<Arc<dyn DiskFile>> {
    let failed = |operation| move |source| Error::io(operation, path, source);
    let file = create_anew(disk, path).map_err(failed("create"))?;
    for (chunk, offset) in content.chunks(SYNC_BYTES).zip((0..).step_by(SYNC_BYTES)) {
        file.write_at(chunk, wide(offset)).map_err(failed("write"))?;
        file.sync().map_err(failed("sync"))?;
    }
    Ok(file)
}
