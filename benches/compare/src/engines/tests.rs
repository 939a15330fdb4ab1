//! What every engine must do, for all of them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Peer, all, small};
use crate::data::{Data, Digest};
use crate::engine::{
    Batch, Due, Durability, Engine, Facts, Family, Job, policy, run_id, workflow_id,
};

/// A directory that goes when it is dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("kinlog-compare-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Dir(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a test on every engine that can be read, in a directory of its own.
fn with_all(name: &str, test: impl Fn(&Peer, &Path)) {
    for peer in all().into_iter().filter(|peer| peer.name != "bare") {
        let dir = Dir::new(&format!("{name}-{}", peer.name));
        test(&peer, &dir.0);
    }
}

fn batch(data: &Data, run: u32, ids: std::ops::Range<u32>) -> Batch<'_> {
    let events = ids.clone().map(|id| data.payload(run, id)).collect();
    Batch { run, first: ids.start, events }
}

fn written(data: &Data, run: u32, count: u32) -> Digest {
    let mut digest = Digest::default();
    (1..=count).for_each(|id| digest.take(id, data.payload(run, id)));
    digest
}

fn read(engine: &dyn Engine, run: u32) -> Digest {
    let mut digest = Digest::default();
    engine.read(run, &mut |id, payload| digest.take(id, payload)).unwrap();
    digest
}

#[test]
fn what_is_appended_is_read_and_outlives_the_store() {
    const COUNT: u32 = 40;
    let data = Data::default();
    with_all("append", |peer, dir| {
        let check = |engine: &dyn Engine| {
            for run in 0..4 {
                assert_eq!(read(engine, run), written(&data, run, COUNT), "{} {run}", peer.name);
            }
        };
        let engine = (peer.open)(dir).unwrap();
        for (from, durability) in [(1, Durability::Os), (21, Durability::Device)] {
            let two = [0, 1].map(|run| batch(&data, run, from..from + 20));
            engine.append(&two, durability).unwrap();
            for id in from..from + 20 {
                engine.append(&[batch(&data, 2, id..id + 1)], durability).unwrap();
            }
            engine.append_ahead(&[batch(&data, 3, from..from + 20)]).unwrap();
        }
        engine.drain().unwrap();
        check(&*engine);
        engine.settle().unwrap();
        check(&*engine);
        drop(engine);
        check(&*(peer.open)(dir).unwrap());
    });
}

/// What the operating system has survives a kill: a copy of the files stands for what is found then.
#[test]
fn a_commit_survives_a_kill() {
    let data = Data::default();
    with_all("kill", |peer, dir| {
        let (killed, found) = (dir.join("killed"), dir.join("found"));
        let engine = (peer.open)(&killed).unwrap();
        engine.append(&[batch(&data, 0, 1..11)], Durability::Device).unwrap();
        copy(&killed, &found);
        assert_eq!(read(&*(peer.open)(&found).unwrap(), 0), written(&data, 0, 10), "{}", peer.name);
        fs::remove_dir_all(&found).unwrap();

        engine.append(&[batch(&data, 0, 11..21)], Durability::Os).unwrap();
        engine.append_ahead(&[batch(&data, 0, 21..31)]).unwrap();
        engine.drain().unwrap();
        copy(&killed, &found);
        assert_eq!(read(&*(peer.open)(&found).unwrap(), 0), written(&data, 0, 30), "{}", peer.name);
    });
}

fn copy(from: &Path, to: &Path) {
    // Keeps holes, which some make large.
    let mut copy = std::process::Command::new("cp");
    let done = copy.args(["-r", "--sparse=always"]).args([from, to]).status();
    assert!(done.unwrap().success());
}

#[test]
fn threads_append_to_runs_of_their_own() {
    const THREADS: u32 = 16;
    const COUNT: u32 = 30;
    let data = Data::default();
    with_all("threads", |peer, dir| {
        let engine = &*(peer.open)(dir).unwrap();
        std::thread::scope(|threads| {
            for run in 0..THREADS {
                let data = &data;
                threads.spawn(move || {
                    for id in 1..=COUNT {
                        let event = batch(data, run, id..id + 1);
                        engine.append(&[event], Durability::Device).unwrap();
                    }
                });
            }
        });
        for run in 0..THREADS {
            assert_eq!(read(engine, run), written(&data, run, COUNT), "{} {run}", peer.name);
        }
    });
}

#[test]
fn every_job_is_taken_once_and_in_order() {
    const JOBS: u32 = 200;
    const ALONE: u32 = 20;
    const THREADS: u32 = 4;
    let data = Data::default();
    let durability = Durability::Device;
    let job = |number| Job { number, payload: data.payload(0, number).to_vec() };
    with_all("queue", |peer, dir| {
        let engine = (peer.open)(dir).unwrap();
        let Some(queue) = engine.queue() else {
            return;
        };
        assert_eq!(queue.take_job(durability).unwrap(), None, "{}", peer.name);
        for from in (0..JOBS).step_by(50) {
            let jobs: Vec<_> = (from..from + 50).map(|number| data.payload(0, number)).collect();
            queue.put_jobs(from, &jobs, durability).unwrap();
        }
        for number in 0..ALONE {
            assert_eq!(queue.take_job(durability).unwrap(), Some(job(number)), "{}", peer.name);
        }
        let consume = || -> Vec<_> {
            let some = (0..(JOBS / 2 - ALONE) / THREADS).map(|_| queue.take_job(durability));
            some.map(|job| job.unwrap().unwrap()).collect()
        };
        let mut taken: Vec<Job> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(consume)).collect();
            threads.into_iter().flat_map(|it| it.join().unwrap()).collect()
        });
        taken.sort_by_key(|job| job.number);
        assert_eq!(taken, (ALONE..JOBS / 2).map(job).collect::<Vec<_>>(), "{}", peer.name);
        drop(engine);

        let engine = (peer.open)(dir).unwrap();
        let queue = engine.queue().unwrap();
        for number in JOBS / 2..JOBS {
            assert_eq!(queue.take_job(durability).unwrap(), Some(job(number)), "{}", peer.name);
        }
        assert_eq!(queue.take_job(durability).unwrap(), None, "{}", peer.name);
    });
}

#[test]
fn runs_that_have_ended_are_found_by_their_id_and_no_others() {
    const RUNS: u32 = 500;
    with_all("ended", |peer, dir| {
        let check = |engine: &dyn Engine| {
            let ended = engine.ended().unwrap();
            for run in 0..2 * RUNS {
                let workflow_id = workflow_id(run);
                let mut right = false;
                let say = &mut |facts: Facts<'_>| right = facts == Facts::of(run, &workflow_id);
                let found = ended.find(&run_id(run), say).unwrap();
                assert_eq!((found, right), (run < RUNS, run < RUNS), "{} {run}", peer.name);
            }
        };
        let engine = (peer.open)(dir).unwrap();
        let Some(ended) = engine.ended() else {
            return;
        };
        ended.put_ended(0..RUNS / 2).unwrap();
        ended.put_ended(RUNS / 2..RUNS).unwrap();
        check(&*engine);
        engine.settle().unwrap();
        drop(engine);
        check(&*(peer.open)(dir).unwrap());
    });
}

#[test]
fn a_run_that_is_deleted_is_gone_and_no_other() {
    const LAST: u32 = 5;
    let data = Data::default();
    for peer in small() {
        let dir = Dir::new(&format!("retention-{}", peer.name));
        let check = |engine: &dyn Engine| {
            for run in [0, 2] {
                assert_eq!(read(engine, run), written(&data, run, LAST), "{} {run}", peer.name);
            }
            let mut none = |_, _: &[u8]| panic!("{} has events of a deleted run", peer.name);
            // An engine may say so, or have nothing to say.
            let _ = engine.read(1, &mut none);
            if let Some(relations) = engine.relations() {
                let current = [0, 1].map(|run| relations.current_run(&workflow_id(run)).unwrap());
                assert_eq!(current, [Some(run_id(0)), None], "{}", peer.name);
            }
        };
        let engine = (peer.open)(&dir.0).unwrap();
        let retention = engine.retention().unwrap();
        for run in 0..3 {
            engine.append_ahead(&[batch(&data, run, 1..LAST)]).unwrap();
            retention.close(run, LAST, data.payload(run, LAST), run == 1).unwrap();
        }
        retention.delete(1, LAST).unwrap();
        engine.drain().unwrap();
        check(&*engine);
        retention.rest().unwrap();
        check(&*engine);
        drop(engine);
        let engine = (peer.open)(&dir.0).unwrap();
        engine.settle().unwrap();
        check(&*engine);
    }
}

#[test]
fn a_closed_parent_reaches_its_children_once() {
    const CHILDREN: u32 = 100;
    let (family, other) = (Family { parent: 7 }, Family { parent: 1000 });
    let run = |n| family.child(n);
    with_all("family", |peer, dir| {
        let engine = (peer.open)(dir).unwrap();
        let Some(relations) = engine.relations() else {
            return;
        };
        let durability = Durability::Device;
        for (family, children) in [(family, 0..60), (other, 0..10), (family, 60..CHILDREN)] {
            relations.start_family(family, children).unwrap();
        }
        assert_eq!(relations.plan(family).unwrap(), [], "{}", peer.name);
        relations.close_parent(family, durability).unwrap();
        let due = |n| Due { run: run_id(run(n)), policy: policy(n) };
        let planned = relations.plan(family).unwrap();
        assert_eq!(planned, (0..CHILDREN).map(due).collect::<Vec<_>>(), "{}", peer.name);
        assert_eq!(relations.apply(family, durability).unwrap(), CHILDREN as usize);

        let check = |engine: &dyn Engine| {
            let relations = engine.relations().unwrap();
            assert_eq!(relations.plan(family).unwrap(), [], "{}", peer.name);
            assert_eq!(relations.apply(family, durability).unwrap(), 0, "{}", peer.name);
            for n in 0..CHILDREN {
                let current = relations.current_run(&workflow_id(run(n))).unwrap();
                assert_eq!(current, Some(run_id(run(n))), "{} {n}", peer.name);
                assert_eq!(read(engine, run(n)).events, 2, "{} {n}", peer.name);
            }
            assert_eq!(read(engine, family.parent).events, 2 + 2 * u64::from(CHILDREN));
            assert_eq!(relations.current_run("nobody").unwrap(), None, "{}", peer.name);
            assert_eq!(read(engine, other.child(9)).events, 1, "{}", peer.name);
        };
        check(&*engine);
        engine.settle().unwrap();
        drop(engine);
        check(&*(peer.open)(dir).unwrap());
    });
}
