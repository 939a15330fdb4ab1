//! Calls the program, and makes small histories for it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use serde_json::Value;

/// What a call came to.
pub(crate) struct Called {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) bytes: Vec<u8>,
}

impl Called {
    /// It went well, and there was nothing to remark.
    pub(crate) fn ok(self) -> Self {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self
    }

    /// It failed with this exit code, and says so.
    pub(crate) fn fails(self, code: i32, says: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(self.err.contains(says), "{}", self.err);
        self
    }

    /// The JSON objects it printed.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The command, with no environment that matters to it.
pub(crate) fn command(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinlog"));
    command.env_remove("KINLOG_STORE").env_remove("CLICOLOR_FORCE").arg("--store").arg(store);
    command
}

pub(crate) fn call<S: AsRef<OsStr>>(store: &Path, args: impl IntoIterator<Item = S>) -> Called {
    called(command(store).args(args).output().unwrap())
}

pub(crate) fn called(output: Output) -> Called {
    Called {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        bytes: output.stdout,
    }
}

/// An empty store of small segments, which a debug build opens faster.
pub(crate) fn small_store(dir: &Path) -> PathBuf {
    let store = dir.join("store");
    kinlog::Options::new().segment_bytes(1 << 20).open(&store).unwrap();
    store
}

/// A history of three events, as a file.
pub(crate) fn history(dir: &Path, name: &str, workflow_id: &str, run_id: &str) -> PathBuf {
    let text = format!(
        r#"{{"events": [
        {{"eventId": "1", "taskId": "7", "eventTime": "2024-01-02T03:04:05Z",
          "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
          "workflowExecutionStartedEventAttributes": {{"workflowId": "{workflow_id}",
          "originalExecutionRunId": "{run_id}", "workflowType": {{"name": "Order"}}}}}},
        {{"eventId": "2", "taskId": "9", "eventTime": "2024-01-02T03:04:06Z",
          "eventType": "EVENT_TYPE_TIMER_STARTED",
          "timerStartedEventAttributes": {{"timerId": "t"}}}},
        {{"eventId": "3", "taskId": "11", "eventTime": "2024-01-02T03:04:07.5Z",
          "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED",
          "workflowExecutionCompletedEventAttributes": {{}}}}]}}"#
    );
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// The folder of recorded histories; nothing, with a line printed, if it is missing.
pub(crate) fn recorded() -> Option<PathBuf> {
    let folder = match env::var_os("KINLOG_HISTORIES") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories"),
    };
    let found = folder.join("MANIFEST.tsv").is_file();
    if !found {
        println!("skipped: no recorded histories in {}", folder.display());
    }
    found.then_some(folder)
}
