//! Integration tests: everything through the public interface, on real files.

mod start;
mod store;
