//! Every example prints what its first comment says.

#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of an example; built here where this test runs alone, without the whole package.
fn program(name: &OsStr) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    if !program.exists() {
        let (cargo, root) = (env!("CARGO"), env!("CARGO_MANIFEST_DIR"));
        let built = Command::new(cargo).args(["build", "--examples"]).current_dir(root).output();
        let built = built.unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    program
}

/// The lines of the block that begins with "```text" in the first comment.
fn promised(source: &str) -> String {
    let comment = source.lines().map_while(|line| line.strip_prefix("//!"));
    let block = comment.map(str::trim_start).skip_while(|line| *line != "```text").skip(1);
    block.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_example_prints_what_it_says() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut tried = 0;
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let promised = promised(&std::fs::read_to_string(&path).unwrap());
        let output = Command::new(program(path.file_stem().unwrap())).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", path.display());
        assert!(!promised.is_empty(), "{} does not say what it prints", path.display());
        assert_eq!(printed, promised, "{}", path.display());
        tried += 1;
    }
    assert!(tried > 0);
}
