//! Counts, to see that what should happen does.

/// How often things happened.
#[derive(Default, Debug, Clone)]
pub(crate) struct Done {
    pub(crate) steps: u64,
    pub(crate) refused: u64,
    pub(crate) commits: u64,
    pub(crate) overtaken: u64,
    pub(crate) untrue: u64,
    pub(crate) settled: u64,
    pub(crate) resets: u64,
    pub(crate) moved: u64,
    pub(crate) limits: u64,
    pub(crate) notices: u64,
    pub(crate) reopened: u64,
    pub(crate) runs: u64,
}

impl Done {
    pub(crate) fn add(&mut self, other: &Done) {
        self.steps += other.steps;
        self.refused += other.refused;
        self.commits += other.commits;
        self.overtaken += other.overtaken;
        self.untrue += other.untrue;
        self.settled += other.settled;
        self.resets += other.resets;
        self.moved += other.moved;
        self.limits += other.limits;
        self.notices += other.notices;
        self.reopened += other.reopened;
        self.runs += other.runs;
    }
}
