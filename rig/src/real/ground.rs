//! What a load stands on, and how it comes to an end.

use std::path::Path;

use super::loader::{Loader, Said};

/// How a life came to its end.
pub struct End {
    /// So many commits must be there.
    pub kept: usize,
    /// All that the load has said before it ended.
    pub said: Said,
    /// The load had reason to fail.
    pub excuse: bool,
}

/// A place for stores that can be taken from under a load.
pub trait Ground {
    /// Where the store is. What lies there is removed by [`Ground::clear`].
    fn store(&self) -> &Path;

    /// Something is about to live here.
    fn begin(&mut self) {}

    /// Ends a load, and leaves the place as the next start of the program, or of the machine,
    /// finds it.
    ///
    /// # Errors
    /// What the system says.
    fn end(&mut self, loader: Loader) -> Result<End, String>;

    /// Makes room for another world.
    ///
    /// # Errors
    /// What the system says.
    fn clear(&mut self) -> Result<(), String>;

    /// What is to be said of the ends besides, in a word or two.
    fn remark(&self) -> String {
        String::new()
    }
}
