//! Stretches of time, and how much of one others cover.

/// From one moment to another, in nanoseconds since the measurement's own zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    pub from: u64,
    pub to: u64,
}

impl Span {
    pub fn len(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    fn overlap(self, other: Span) -> u64 {
        let shared = Span { from: self.from.max(other.from), to: self.to.min(other.to) };
        shared.len()
    }
}

/// How much of `span` is covered by `others`, which follow one another and do not overlap.
pub fn covered(span: Span, others: &[Span]) -> u64 {
    let first = others.partition_point(|other| other.to <= span.from);
    let after = others[first..].iter().take_while(|other| other.from < span.to);
    after.map(|other| span.overlap(*other)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64) -> Span {
        Span { from, to }
    }

    #[test]
    fn only_what_overlaps_is_covered() {
        let syncs = [span(10, 20), span(30, 40), span(40, 45)];
        let cases = [
            (span(0, 10), 0),
            (span(0, 11), 1),
            (span(12, 15), 3),
            (span(15, 35), 10),
            (span(0, 100), 25),
            (span(20, 30), 0),
            (span(44, 100), 1),
            (span(45, 100), 0),
        ];
        for (commit, expected) in cases {
            assert_eq!(covered(commit, &syncs), expected, "{commit:?}");
        }
        assert_eq!(covered(span(0, 100), &[]), 0);
    }

    #[test]
    fn a_commit_that_was_late_for_a_sync_before_it_was_kept_by_the_device() {
        let syncs = [span(100, 900), span(905, 1000)];
        let commit = span(200, 1002);
        assert_eq!(commit.len() - covered(commit, &syncs), 7);
    }
}
