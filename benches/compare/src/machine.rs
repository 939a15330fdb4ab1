//! What it was measured on.

use std::path::Path;
use std::process::Command;

/// The lines that say it, each a name and a value.
pub fn describe(stores: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(unknown);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    vec![
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("command", command()),
        ("processor", format!("{cpu}, {cores} cores")),
        ("memory", in_gib(&memory)),
        ("kernel", kernel.map_or_else(|_| unknown(), |it| it.trim().to_owned())),
        ("load", load()),
        ("file system", file_system(stores).unwrap_or_else(unknown)),
        ("compiler", output("rustc", &["--version"])),
    ]
}

fn command() -> String {
    let own = ["compare".to_owned()];
    own.into_iter().chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}

/// How many processes wanted a core, over the last 1, 5 and 15 minutes, this one's among them.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_else(|_| unknown());
    load.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(|_| unknown(), |it| String::from_utf8_lossy(&it.stdout).trim().to_owned())
}

/// The value behind a name in a file of lines `name : value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn in_gib(kib: &str) -> String {
    let number = kib.split(' ').next().and_then(|number| number.parse::<f64>().ok());
    number.map_or_else(unknown, |kib| format!("{:.1} GiB", kib / f64::from(1 << 20)))
}

/// The file system that a directory is on, by the longest mount point above it.
fn file_system(dir: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(point, _)| dir.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}
