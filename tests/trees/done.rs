//! Counts, to see that what should happen does.

/// How often things happened.
#[derive(Default, Debug, Clone)]
pub(crate) struct Done {
    pub(crate) steps: u64,
    pub(crate) refused: u64,
    pub(crate) commits: u64,
    /// Commits that others had come before since the first step.
    pub(crate) beside: u64,
    /// Transactions that others came before and that were not committed for it.
    pub(crate) overtaken: u64,
    /// Of those, which would have come to the same.
    pub(crate) needless: u64,
    /// Of those, which were told the answer at the commit.
    pub(crate) late: u64,
    pub(crate) settled: u64,
    pub(crate) resets: u64,
    pub(crate) moved: u64,
    /// Runs that were deleted, and of which an outcome was kept or nothing.
    pub(crate) deleted: u64,
    pub(crate) limits: u64,
    pub(crate) notices: u64,
    pub(crate) reopened: u64,
    /// Segments that were rewritten.
    pub(crate) compacted: u64,
    /// Segments that were packed, after each compaction.
    pub(crate) packed: u64,
    /// Deleted runs that were erased.
    pub(crate) erased: u64,
    /// Worlds in which the middle of a child's chain was erased, and in which one that was asked to cancel was deleted there.
    pub(crate) shortened: u64,
    pub(crate) asked: u64,
    pub(crate) runs: u64,
}

impl Done {
    pub(crate) fn add(&mut self, other: &Done) {
        self.steps += other.steps;
        self.refused += other.refused;
        self.commits += other.commits;
        self.beside += other.beside;
        self.overtaken += other.overtaken;
        self.needless += other.needless;
        self.late += other.late;
        self.settled += other.settled;
        self.resets += other.resets;
        self.moved += other.moved;
        self.deleted += other.deleted;
        self.limits += other.limits;
        self.notices += other.notices;
        self.reopened += other.reopened;
        self.compacted += other.compacted;
        self.packed += other.packed;
        self.erased += other.erased;
        self.shortened += other.shortened;
        self.asked += other.asked;
        self.runs += other.runs;
    }
}
