//! What an undamaged store holds, where it lies, and what builds on what.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use kinlog::{Body, Event, History, Position, RunFilter, RunId, Store};
use kinlog_testing::files::{Image, PAGE, SEGMENT, directory, small_segments};

use super::world::fill;

/// A store before it is damaged.
pub(crate) struct Original {
    /// After a clean close.
    pub(crate) image: Image,
    pub(crate) commits: Vec<Commit>,
    /// Every run's events.
    pub(crate) histories: BTreeMap<RunId, Vec<String>>,
}

pub(crate) struct Commit {
    pub(crate) place: Place,
    pub(crate) batches: Vec<Batch>,
    pub(crate) rows: Vec<(String, Vec<u8>, Option<Vec<u8>>)>,
}

/// Where a frame lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    pub(crate) segment: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

pub(crate) struct Batch {
    pub(crate) run: RunId,
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// It is the first of its run.
    pub(crate) begins: bool,
    /// The batches that it builds on: number of the commit, number in it.
    pub(crate) needs: Vec<(usize, usize)>,
}

/// The store that most tests damage.
pub(crate) static BUSY: LazyLock<Original> = LazyLock::new(|| Original::make(1, 3));

impl Original {
    pub(crate) fn make(seed: u64, segments: u32) -> Self {
        let dir = directory();
        let store = small_segments().open(dir.path()).unwrap();
        fill(&store, seed, segments);
        let original = Self::of(&store);
        store.verify(|_| ()).unwrap();
        store.shut_down().unwrap();
        let mut image = Image::read(dir.path());
        image.0.remove("log/prepared.tmp");
        let mut commits = original.1;
        for commit in &mut commits {
            commit.place.end = commit.place.start + frame_bytes(&image, &commit.place);
        }
        Original { image, commits, histories: original.0 }
    }

    fn of(store: &Store) -> (BTreeMap<RunId, Vec<String>>, Vec<Commit>) {
        let snapshot = store.snapshot();
        let runs = snapshot.runs(RunFilter::all()).map(Result::unwrap);
        let histories = runs.map(|run| (run.id, events(&store.history(&run.id).unwrap())));
        let histories = histories.collect();
        let mut builder = Builder::default();
        let mut tail = store.tail(Position::START);
        while let Some(commit) = tail.try_next().unwrap() {
            let at = commit.position().as_u64() as usize;
            let place = Place { segment: at / SEGMENT, start: at % SEGMENT, end: 0 };
            let number = builder.commits.len();
            let batches = commit.batches().map(Result::unwrap).enumerate().map(|(i, batch)| {
                let events: Vec<Event<'_>> = batch.events().map(Result::unwrap).collect();
                builder.batch(batch.run(), &events, (number, i))
            });
            let batches = batches.collect();
            let rows = commit
                .rows()
                .map(|row| (row.table.to_owned(), row.key.to_vec(), row.value.map(<[u8]>::to_vec)));
            let rows = rows.collect();
            builder.commits.push(Commit { place, batches, rows });
        }
        (histories, builder.finish())
    }

    /// All frames, seals too.
    pub(crate) fn frames(&self) -> Vec<Place> {
        let mut frames = vec![];
        for segment in 0..self.image.segments() {
            let mut place = Place { segment, start: PAGE, end: PAGE };
            let bytes = &self.image.0[&kinlog_testing::files::segment_name(segment)];
            while bytes[place.start..place.start + 4] != [0; 4] {
                place.end = place.start + frame_bytes(&self.image, &place);
                frames.push(place);
                place.start = place.end;
            }
        }
        frames
    }
}

fn frame_bytes(image: &Image, place: &Place) -> usize {
    let bytes = &image.0[&kinlog_testing::files::segment_name(place.segment)];
    let len = bytes[place.start + 4..place.start + 8].try_into().unwrap();
    u32::from_le_bytes(len) as usize + 24
}

/// Everything that an event says.
pub(crate) fn events(history: &History) -> Vec<String> {
    let say = |event: Event<'_>| {
        let payload = event.payload();
        let (size, sum) = (event.size(), crc32fast::hash(payload));
        let time = event.time().unix_nanos();
        format!("{} {time} {size} {sum:x} {:?}", event.id(), event.body())
    };
    history.iter().map(|event| say(event.unwrap())).collect()
}

/// Collects what batches need, by name; what the names stand for is known at the end.
#[derive(Default)]
struct Builder {
    commits: Vec<Commit>,
    /// A run's own events, with the batch that each is in.
    own: HashMap<(RunId, u32), (usize, usize)>,
    first: HashMap<RunId, (usize, usize)>,
    last: HashMap<RunId, (usize, usize)>,
    bases: HashMap<RunId, (RunId, u32)>,
    needs: Vec<((usize, usize), Need)>,
}

enum Need {
    /// The batch with this event of a run, or of the run that it shares it with.
    Event(RunId, u32),
    /// The batch of a run in the same commit.
    Sibling(RunId),
    First(RunId),
    Last(RunId),
}

impl Builder {
    fn batch(&mut self, run: RunId, events: &[Event<'_>], at: (usize, usize)) -> Batch {
        let (first, last) = (events[0].id(), events[events.len() - 1].id());
        let mut need = |need| self.needs.push((at, need));
        for event in events {
            match event.body() {
                Body::WorkflowExecutionStarted(b) => {
                    need_of(b.continued_run_id.map(Need::Last), &mut need);
                    let parent = b.parent_run_id.filter(|_| b.continued_run_id.is_none());
                    need_of(parent.map(Need::Sibling), &mut need);
                }
                Body::WorkflowReset(b) => {
                    self.bases.insert(run, (b.base_run_id, first - 1));
                    need(Need::Event(b.base_run_id, first - 1));
                    // Which may itself share it with another run.
                    need(Need::First(b.base_run_id));
                }
                Body::ChildWorkflowExecutionStarted(b) => need(Need::First(b.run_id)),
                Body::ChildWorkflowExecutionCompleted(b)
                | Body::ChildWorkflowExecutionFailed(b)
                | Body::ChildWorkflowExecutionCanceled(b)
                | Body::ChildWorkflowExecutionTimedOut(b)
                | Body::ChildWorkflowExecutionTerminated(b) => need(Need::Last(b.run_id)),
                Body::WorkflowExecutionTerminated(b) => {
                    need_of(b.reset_run_id.map(Need::First), &mut need);
                }
                Body::WorkflowExecutionContinuedAsNew(b) => {
                    need_of(b.new_run_id.map(Need::First), &mut need);
                }
                _ => {}
            }
            self.own.insert((run, event.id()), at);
        }
        let begins = !self.last.contains_key(&run);
        if !begins {
            self.needs.push((at, Need::Event(run, first - 1)));
        }
        self.first.entry(run).or_insert(at);
        self.last.insert(run, at);
        Batch { run, first, last, begins, needs: vec![] }
    }

    fn finish(mut self) -> Vec<Commit> {
        for (at, need) in std::mem::take(&mut self.needs) {
            let needed = match need {
                Need::Event(run, event) => {
                    let mut holder = run;
                    while !self.own.contains_key(&(holder, event)) {
                        holder = self.bases[&holder].0;
                    }
                    self.own[&(holder, event)]
                }
                Need::Sibling(run) => {
                    let batches = &self.commits[at.0].batches;
                    (at.0, batches.iter().position(|batch| batch.run == run).unwrap())
                }
                Need::First(run) => self.first[&run],
                Need::Last(run) => self.last[&run],
            };
            self.commits[at.0].batches[at.1].needs.push(needed);
        }
        self.commits
    }
}

fn need_of(found: Option<Need>, need: &mut impl FnMut(Need)) {
    if let Some(found) = found {
        need(found);
    }
}
