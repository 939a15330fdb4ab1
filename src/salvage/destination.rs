//! Checks the destination of a salvage before anything is created there.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::files::check_disjoint;

/// Checks that a new store can be created at `dst`; returns the path at which it is created until it is complete.
pub(super) fn prepare_destination(disk: &dyn Disk, src: &Path, dst: &Path) -> Result<PathBuf> {
    check_disjoint(disk, dst, src)?;
    let (Some(name), false) = (dst.file_name(), dst.as_os_str().is_empty()) else {
        return Err(Error::invalid("the new store needs a directory with a name"));
    };
    let mut name = name.to_owned();
    name.push(".partial");
    let partial = dst.with_file_name(name);
    for path in [dst, &partial] {
        let empty = match disk.list(path) {
            Ok(names) => names.is_empty(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(Error::io("list", path, error)),
        };
        if !empty {
            return Err(Error::NotEmpty { path: path.to_owned() });
        }
    }
    Ok(partial)
}
