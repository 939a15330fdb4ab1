//! What is measured.

use crate::engine::{Durability, Result};

pub struct Scenario {
    pub name: &'static str,
    pub rate: Rate,
    /// How many events a commit has, all of one run.
    pub events: u32,
    /// The length of each payload; as in recorded histories if there is none.
    pub payload_bytes: Option<usize>,
    pub durability: Durability,
    /// Whether another thread reads all the time.
    pub reader: bool,
    pub segment_bytes: u32,
}

impl Scenario {
    pub fn about(&self) -> String {
        let Scenario { events, segment_bytes, .. } = self;
        let payload = self.payload_bytes.map_or("as recorded".into(), |bytes| format!("{bytes} B"));
        let durable = if self.durability == Durability::Device { "durable" } else { "buffered" };
        let beside = if self.reader { ", beside a reader" } else { "" };
        let segments = segment_bytes >> 10;
        format!("{events} × {payload}, {durable}, segments of {segments} KiB{beside}")
    }
}

/// How many commits are due in a second.
pub enum Rate {
    Of(u32),
    /// Half of what the bare loop comes to.
    Half,
}

const DEFAULT_SEGMENT: u32 = 64 << 20;

/// The one that the others are beside.
pub const QUIET: Scenario = Scenario {
    name: "quiet",
    rate: Rate::Of(1000),
    events: 1,
    payload_bytes: None,
    durability: Durability::Device,
    reader: false,
    segment_bytes: DEFAULT_SEGMENT,
};

const BUFFERED: Scenario = Scenario {
    name: "buffered",
    rate: Rate::Of(100_000),
    events: 3,
    payload_bytes: Some(120),
    durability: Durability::Os,
    ..QUIET
};

pub static SCENARIOS: [Scenario; 8] = [
    QUIET,
    Scenario { name: "quiet-half", rate: Rate::Half, ..QUIET },
    Scenario { name: "reader", reader: true, ..QUIET },
    Scenario { name: "reader-half", rate: Rate::Half, reader: true, ..QUIET },
    Scenario { name: "rolling", segment_bytes: 64 << 10, ..QUIET },
    Scenario { name: "preparing", events: 128, ..QUIET },
    BUFFERED,
    Scenario { name: "buffered-reader", reader: true, ..BUFFERED },
];

/// Those of the names, or all if there are none.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>> {
    let named = |name: &String| {
        let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        found.ok_or_else(|| format!("no scenario {name}; there are {}", known.join(", ")).into())
    };
    if names.is_empty() {
        Ok(SCENARIOS.iter().collect())
    } else {
        names.iter().map(named).collect()
    }
}
