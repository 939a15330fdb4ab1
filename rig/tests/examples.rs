//! Every example of the rig prints what its first comment says.

#[path = "../../tests/examples.rs"]
mod examples;
