//! What is shown fits the terminal.

use std::path::Path;
use std::process::Command;

use console::measure_text_width;
use kinlog::{Close, NewChild, NewRun, ParentClosePolicy, Store};

use super::common::{command, small_store};
use super::family::{deep, family, id};

/// Calls a program on a terminal of so many columns, and prints what it wrote there.
const ON_A_TERMINAL: &str = "
import fcntl, os, pty, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    size = struct.pack('HHHH', 50, int(sys.argv[1]), 0, 0)
    fcntl.ioctl(1, termios.TIOCSWINSZ, size)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.execv(sys.argv[2], sys.argv[2:])
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    os.write(1, piece)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

/// The lines that a command shows on a terminal, none of which is wider; `None` without Python.
#[track_caller]
fn shown(columns: usize, store: &Path, args: &[&str]) -> Option<Vec<String>> {
    let kinlog = command(store);
    let mut python = Command::new("python3");
    python.args(["-c", ON_A_TERMINAL, &columns.to_string()]).arg(kinlog.get_program());
    python.args(kinlog.get_args()).args(args).env("NO_COLOR", "1").env_remove("KINLOG_STORE");
    let Ok(output) = python.output() else {
        println!("skipped: there is no python3");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines() {
        let width = measure_text_width(line);
        assert!(width <= columns, "{args:?}: {width} of {columns} columns\n{text}");
    }
    Some(text.lines().map(str::to_owned).collect())
}

/// Of lines that were broken.
fn joined(lines: &[String]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

const LONG: &str = "a-workflow-id-that-is-longer-than-forty-columns-of-a-terminal-are-wide";
const LONGER: &str = "another-workflow-id-that-is-longer-than-forty-columns-of-a-terminal-are-wide";

#[test]
fn stats_fit() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let Some(narrow) = shown(40, &store, &["stats"]) else { return };
    let text = joined(&narrow);
    assert!(!text.contains('…'), "{narrow:#?}");
    for label in ["event headers and fields", "space for commits to come", "all files"] {
        let line = narrow.iter().find(|line| line.trim_start().starts_with(label));
        let line = line.unwrap_or_else(|| panic!("{label}: {narrow:#?}"));
        assert!(line.ends_with(" B") || line.ends_with("KiB") || line.ends_with("MiB"), "{line}");
    }
    assert!(text.contains("hot: 4") && text.contains(" B a relation"), "{narrow:#?}");
    // With more room there is more to see.
    let middle = joined(&shown(56, &store, &["stats"]).unwrap());
    assert!(middle.contains("SHARE") && !middle.contains("1,048,576"), "{middle}");
    let wide = shown(80, &store, &["stats"]).unwrap();
    let exact = wide.iter().any(|line| line.contains("segment headers") && line.contains("4,096"));
    assert!(exact, "{wide:#?}");
}

#[test]
fn a_tree_fits() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = Store::open(&path).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", LONG, "Order").id(id(1))).unwrap();
    let policy = ParentClosePolicy::RequestCancel;
    for (number, name) in [(2, LONGER), (3, "日本語の長い長い長い長い長い長い名前"), (4, "short")]
    {
        let child = NewChild::new(name, "Step").on_parent_close(policy).id(id(number));
        tx.spawn_child(&id(1), child).unwrap();
    }
    tx.commit().unwrap();
    store.close_run(&id(3), Close::failed(b"")).unwrap();
    store.shut_down().unwrap();
    let run = id(1).to_string();
    for columns in [24, 40, 80] {
        let args = ["tree", &run, "--width", "3"];
        let Some(lines) = shown(columns, &path, &args) else { return };
        for (line, standing) in lines.iter().zip(["Running", "Running", "Failed", "Running"]) {
            assert!(line.contains(standing), "{columns}: {lines:#?}");
        }
        assert!(lines[3].starts_with("└─ short  Running"), "{lines:#?}");
        let cut = joined(&shown(columns, &path, &["tree", &run, "--width", "1"]).unwrap());
        assert!(cut.ends_with("--width N and --depth N show more, --all everything"), "{cut}");
    }
}

#[test]
fn a_deep_tree_fits() {
    let dir = tempfile::tempdir().unwrap();
    let store = deep(dir.path(), 100);
    for columns in [40, 80] {
        let Some(lines) = shown(columns, &store, &["tree", "level-0"]) else { return };
        for (level, line) in lines.iter().take(101).enumerate() {
            assert!(line.contains(&format!("level-{level}  Running")), "{line}");
        }
    }
}

/// The kind: nothing else is wider than its terminal.
#[test]
fn everything_else_fits() {
    let dir = tempfile::tempdir().unwrap();
    let store = family(dir.path());
    let run = id(1).to_string();
    let commands: [&[&str]; 6] =
        [&["ls"], &["show", &run], &["chain", &run], &["children", &run], &["duties"], &["verify"]];
    for args in commands {
        for columns in [40, 80] {
            if shown(columns, &store, args).is_none() {
                return;
            }
        }
    }
}
