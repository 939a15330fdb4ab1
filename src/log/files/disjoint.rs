//! That what is made does not come to lie in what it is made from.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::{Error, Result};

/// [`Error::Nested`] if one of two directories, which need not be there, lies within the other one or is
/// the same, by whatever path.
pub(crate) fn check_disjoint(disk: &dyn Disk, a: &Path, b: &Path) -> Result<()> {
    for (inner, outer) in [(a, b), (b, a)] {
        let place = resolved(outer);
        let id = disk.id_at(outer).ok();
        // Also where the outer one is mounted in a second place.
        let is_outer = |path: &Path| path == place || (id.is_some() && disk.id_at(path).ok() == id);
        if resolved(inner).ancestors().any(is_outer) {
            return Err(Error::Nested { inner: inner.to_owned(), outer: outer.to_owned() });
        }
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let real = path.ancestors().find_map(|ancestor| {
        let rest = path.strip_prefix(ancestor).ok()?;
        Some(ancestor.canonicalize().ok()?.join(rest))
    });
    real.unwrap_or(path)
}
