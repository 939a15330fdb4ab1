//! Telling of a world that went wrong.

use crate::record::Record;
use crate::world::Broken;

/// Shows the transaction that is not what it would have been alone, and what came between it and
/// what it saw.
pub(crate) fn tell(broken: &Broken) {
    eprintln!("{}", broken.failure.why);
    let Some(record) = broken.failure.at.map(|at| &broken.records[at]) else { return };
    eprintln!("the transaction:\n{record}");
    eprintln!("what was committed beside it:");
    let beside = |other: &&Record| {
        let position = other.position().filter(|_| !other.empty);
        position >= Some(record.begun) && position < record.position()
    };
    let mut others: Vec<_> = broken.records.iter().filter(beside).collect();
    others.sort_by_key(|other| other.position());
    others.iter().for_each(|other| eprintln!("{other}"));
}
