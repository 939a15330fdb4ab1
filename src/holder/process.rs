//! The process that holds a store's lock: its id, its host, and where it is seen from this process.

use std::fmt;
use std::path::Path;

use super::host::Host;

/// The process that holds a store's lock, as far as it is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Holder {
    /// Its process id, in the process namespace where it runs; 0 if not known.
    pub process: u32,
    /// The name of its host, or of its container; empty if not known.
    pub host: String,
    /// Where it runs, relative to this process.
    pub whereabouts: Whereabouts,
}

/// Where a process runs, relative to this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Whereabouts {
    /// Not known: the process is just opening the store, or the system does not provide it.
    #[default]
    Unknown,
    /// It reads the store and keeps writers out, as [`salvage`](fn@crate::salvage::salvage) does.
    Reader,
    /// It is this process.
    ThisProcess,
    /// It is a process of this machine, in the same process namespace.
    ThisMachine,
    /// It is of this machine, and no process with its id is visible: it has ended and a process that it forked
    /// still holds the lock, or it is hidden.
    Unseen,
    /// It is a process of this machine in another process namespace, such as a container. Its id means nothing
    /// here.
    OtherContainer,
    /// It is a process of another machine, or of this one before its last boot.
    OtherMachine,
}

impl Holder {
    /// The process that a lock record names.
    pub(crate) fn find(process: u32, host: Option<Host>) -> Self {
        let here = Host::of_this_process();
        let is_this = process == std::process::id();
        let whereabouts = match &host {
            _ if process == 0 => Whereabouts::Unknown,
            None => Whereabouts::Unknown,
            Some(there) if there.boot != here.boot => Whereabouts::OtherMachine,
            Some(there) if there.namespace != here.namespace => Whereabouts::OtherContainer,
            Some(_) if is_this => Whereabouts::ThisProcess,
            // Without a boot id, the process id may be of another machine.
            Some(_) if here.boot == [0; 16] => Whereabouts::Unknown,
            Some(_) if !is_seen(process) => Whereabouts::Unseen,
            Some(_) => Whereabouts::ThisMachine,
        };
        Holder { process, host: host.map(|host| host.name).unwrap_or_default(), whereabouts }
    }
}

/// Whether a process with this id is visible; `true` where the system does not say.
fn is_seen(process: u32) -> bool {
    let all = Path::new("/proc");
    !all.join("self").exists() || all.join(process.to_string()).exists()
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder { process, host, whereabouts } = self;
        // The record may hold any bytes.
        let host = host.escape_debug();
        match whereabouts {
            Whereabouts::Unknown if *process == 0 => {
                f.write_str("a process that does not say which it is holds the lock; wait for it")
            }
            Whereabouts::Unknown => write!(
                f,
                "the lock is held, by process {process} if that has the same number here; close the store there"
            ),
            Whereabouts::Reader => f.write_str(
                "a process reads it that keeps writers out, as a salvage does; wait for it",
            ),
            Whereabouts::ThisProcess => write!(
                f,
                "this process, {process}, has it open for writing already; use that store"
            ),
            Whereabouts::ThisMachine => {
                write!(f, "process {process} on this machine has it open for writing; stop it")
            }
            Whereabouts::Unseen => write!(
                f,
                "process {process}, which opened it, is not to be seen: it has ended, and a process that it \
                 forked still holds the lock, or it is hidden; close the store there"
            ),
            Whereabouts::OtherContainer => write!(
                f,
                "a process in another container on this machine, host \"{host}\", has it open for writing, \
                 as number {process} there; close it there"
            ),
            Whereabouts::OtherMachine => write!(
                f,
                "a process on another machine, host \"{host}\", has it open for writing, as number {process} \
                 there; close it there"
            ),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_is_known_to_be_the_one_is_to_be_stopped() {
        let here = Host::of_this_process();
        assert!(here.boot != [0; 16] && here.namespace != 0 && !here.name.is_empty());
        let own = std::process::id();
        let other = Host { namespace: 1, ..here.clone() };
        let far = Host { boot: [1; 16], name: "db\u{1b}[31m".into(), ..here.clone() };
        let cases = [
            (0, Some(here.clone()), Whereabouts::Unknown),
            (own, None, Whereabouts::Unknown),
            (own, Some(here.clone()), Whereabouts::ThisProcess),
            (1, Some(here.clone()), Whereabouts::ThisMachine),
            (u32::MAX, Some(here.clone()), Whereabouts::Unseen),
            (own, Some(other), Whereabouts::OtherContainer),
            (own, Some(far), Whereabouts::OtherMachine),
        ];
        for (process, host, expected) in cases {
            let holder = Holder::find(process, host.clone());
            assert_eq!(holder.whereabouts, expected, "{process} {host:?}");
            let said = holder.to_string();
            assert_eq!(said.contains("stop it"), expected == Whereabouts::ThisMachine, "{said}");
            assert!(!said.contains('\u{1b}'), "{said:?}");
        }
    }
}
