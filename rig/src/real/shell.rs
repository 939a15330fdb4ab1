//! The machine's own tools.

use std::ffi::OsStr;
use std::process::Command;

/// Runs a tool; what it prints.
pub(super) fn run<S: AsRef<OsStr>>(tool: &str, args: &[S]) -> Result<String, String> {
    let output = Command::new(tool).args(args).output();
    let output = output.map_err(|error| format!("{tool}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let args: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{tool} {}: {}", args.join(" "), said.trim()))
}
