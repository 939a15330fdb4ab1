//! Ends the test if a world makes no progress, and says where its threads are: a test that hangs
//! tells nothing.

use std::io::Write;
use std::process::{Command, abort, id};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::board::Board;

/// How long a world may stand still; no step of a test takes as long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Watches until it is dropped.
pub(crate) struct Watchdog(Option<(Sender<()>, thread::JoinHandle<()>)>);

impl Watchdog {
    pub(crate) fn watch(board: Arc<Board>, name: String) -> Self {
        let (over, ended) = channel();
        let watch = move || {
            let mut seen = board.moves();
            while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let moves = board.moves();
                if moves == seen {
                    tell(&board, &name);
                    abort();
                }
                seen = moves;
            }
        };
        Watchdog(Some((over, thread::spawn(watch))))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some((over, watching)) = self.0.take() {
            drop(over);
            drop(watching.join());
        }
    }
}

fn tell(board: &Board, name: &str) {
    let mut text = format!("no progress for {} s in {name}\n", PATIENCE.as_secs());
    for (thread, note) in board.notes().iter().enumerate() {
        text += &format!("  thread {thread}: {note}\n");
    }
    say(&text);
    let pid = id().to_string();
    let asked = ["-p", &pid, "-batch", "-ex", "thread apply all bt"];
    match Command::new("gdb").args(asked).output() {
        Ok(output) => say(&String::from_utf8_lossy(&output.stdout)),
        Err(error) => say(&format!("no stacks: gdb: {error}\n")),
    }
}

/// Past the test harness, which keeps what a test prints and loses it when the process ends.
fn say(text: &str) {
    // The process ends anyway.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
