//! Kills and limits of the machine, in small numbers; `rig/real` does the rest.

use std::path::Path;
use std::process::{Command, Output};

const RIG: &str = env!("CARGO_BIN_EXE_kinlog-rig");

fn load(limit: &str, dir: &Path) -> Output {
    Command::new("sh")
        .args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\""), RIG, "load"])
        .arg(dir)
        .args(["--seed", "4", "--commits", "900"])
        .output()
        .expect("a shell")
}

/// So many commits must be there, and can be there, by what a load has said.
fn bounds(said: &str) -> (usize, usize) {
    let highest = |what: &str| {
        let numbers = said.lines().filter_map(|line| line.strip_prefix(what));
        let number = |rest: &str| rest.split(' ').next().and_then(|number| number.parse().ok());
        numbers.filter_map(number).max().map_or(0, |number: usize| number + 1)
    };
    (highest("acked "), highest("given "))
}

fn check(dir: &Path, (at_least, at_most): (usize, usize)) {
    let output = Command::new(RIG)
        .arg("check")
        .arg(dir)
        .args(["--seed", "4", "--at-least", &at_least.to_string()])
        .args(["--at-most", &at_most.to_string()])
        .output()
        .expect("the rig");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// It ended by itself, in an orderly way, and said why.
fn refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(why), "{said}");
}

#[test]
fn kills_lose_nothing() {
    let output = Command::new(RIG).args(["kill", "--times", "12"]).output().expect("the rig");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("| kill | 12 |"));
}

#[test]
fn too_few_file_descriptors_are_an_error_and_lose_nothing() {
    let mut refusals = vec![];
    for limit in 8..=16 {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().join("store");
        let output = load(&format!("-n {limit}"), &store);
        if !output.status.success() {
            refused(&output, "Too many open files");
            refusals.push(limit);
        }
        let bounds = bounds(&String::from_utf8_lossy(&output.stdout));
        if bounds.0 > 0 {
            check(&store, bounds);
        }
    }
    // However many segments there are, a dozen will do.
    assert!(refusals.starts_with(&[8]) && refusals.iter().all(|limit| *limit < 16), "{refusals:?}");
}
