//! Checking a file of the cold index by itself.

use std::ops::Bound;

use super::cold::{Family, IndexFile, closed_key, number_of_key};
use super::state::{Record, Run};
use crate::bytes::wide;
use crate::error::Result;
use crate::sorted::Lookup;

/// Checks every byte of a file, and that its closed runs are listed under the times at which they closed, and no others.
pub(crate) fn verify_file(file: &IndexFile) -> Result<()> {
    let sorted = &file.sorted;
    sorted.verify()?;
    let mut closed = 0;
    let everything = (Bound::Unbounded, Bound::Unbounded);
    for entry in sorted.range(Family::Runs.section(), everything)? {
        let (key, bytes) = entry?;
        let number = number_of_key(key);
        let run = number.and_then(|number| Some((number, Run::decode(number, bytes?)?)));
        let Some((number, run)) = run else {
            let (section, number) = (wide(Family::Runs.section()), number.unwrap_or_default());
            return Err(sorted.malformed("an entry is malformed", section, number.into()));
        };
        let Some(closed_at) = run.state.latest().closed_at else { continue };
        let key = closed_key(run.namespace, closed_at, number);
        if sorted.get(Family::Closed.section(), &key)? != Lookup::Found(&[]) {
            return Err(sorted.malformed("a closed run is not listed", number.into(), 0));
        }
        closed += 1;
    }
    let listed = sorted.entries(Family::Closed.section())?;
    if listed != closed {
        let what = "more runs are listed as closed than have closed";
        return Err(sorted.malformed(what, closed, listed));
    }
    Ok(())
}
