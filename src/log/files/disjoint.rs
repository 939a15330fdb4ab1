//! Checks that a copy and its source are in disjoint directories.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};

/// [`Error::Nested`] if one of two directories is within the other or is the same, whatever paths name them.
/// Neither needs to exist.
pub(crate) fn check_disjoint(disk: &dyn Disk, a: &Path, b: &Path) -> Result<()> {
    for (inner, outer) in [(a, b), (b, a)] {
        let outer_path = resolved(outer);
        let id = disk.id_at(outer).ok();
        // By id too: the outer one may be mounted at a second path.
        let is_outer =
            |path: &Path| path == outer_path || (id.is_some() && disk.id_at(path).ok() == id);
        if resolved(inner).ancestors().any(is_outer) {
            return Err(Error::Nested { inner: inner.to_owned(), outer: outer.to_owned() });
        }
    }
    Ok(())
}

/// The path with symbolic links resolved, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.ancestors().find_map(|ancestor| {
        let rest = path.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    });
    real.unwrap_or(path)
}
