//! Cuts the Temporal API descriptors down to what a history needs.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::path::Path;
use std::{env, fs};

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

const ROOT: &str = "temporal/api/history/v1/message.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let source = env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")?;
    println!("cargo:rerun-if-changed={source}");
    let set = FileDescriptorSet::decode(fs::read(&source)?.as_slice())?;
    let file = reachable(set, ROOT);
    if file.file.is_empty() {
        return Err(format!("{ROOT} is not among the descriptors in {source}").into());
    }
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("history.desc"), file.encode_to_vec())?;
    Ok(())
}

/// Keeps `root` and what it imports, in the order of `set` (imports come first there).
fn reachable(mut set: FileDescriptorSet, root: &str) -> FileDescriptorSet {
    let by_name: HashMap<&str, &FileDescriptorProto> =
        set.file.iter().map(|file| (file.name(), file)).collect();
    let mut seen = HashSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(name) = open.pop() {
        if let Some(file) = by_name.get(name.as_str())
            && seen.insert(name)
        {
            open.extend(file.dependency.iter().cloned());
        }
    }
    set.file.retain(|file| seen.contains(file.name()));
    for file in &mut set.file {
        // Comments and line numbers are most of the bytes and nobody reads them here.
        file.source_code_info = None;
    }
    set
}
