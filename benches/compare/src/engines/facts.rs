//! What is known about a run, as one row of a general store.

use crate::engine::{Facts, Result, run_id, workflow_id};

/// Bytes before the names: three numbers, and room for what an engine knows besides (its chain and its parent, sizes, how it
/// ended), so that a row has about 100 bytes.
const FIXED_BYTES: usize = 68;

/// The key and the value of a run that has ended.
pub fn row(run: u32) -> ([u8; 16], Vec<u8>) {
    let workflow_id = workflow_id(run);
    let facts = Facts::of(run, &workflow_id);
    let mut value = vec![0; FIXED_BYTES];
    value[..4].copy_from_slice(&facts.events.to_le_bytes());
    value[4..12].copy_from_slice(&facts.started_at.to_le_bytes());
    value[12..20].copy_from_slice(&facts.closed_at.to_le_bytes());
    // Neither name has a zero in it.
    value.extend([facts.workflow_id, "\0", facts.workflow_type].concat().as_bytes());
    (run_id(run), value)
}

/// What a value says.
pub fn read(value: &[u8]) -> Result<Facts<'_>> {
    let (fixed, names) = value.split_at_checked(FIXED_BYTES).ok_or("a row cut")?;
    let names = std::str::from_utf8(names)?.split_once('\0');
    let (workflow_id, workflow_type) = names.ok_or("a row without a type")?;
    Ok(Facts {
        workflow_id,
        workflow_type,
        events: u32::from_le_bytes(fixed[..4].try_into()?),
        started_at: i64::from_le_bytes(fixed[4..12].try_into()?),
        closed_at: i64::from_le_bytes(fixed[12..20].try_into()?),
    })
}
