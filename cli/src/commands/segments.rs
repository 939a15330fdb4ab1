//! What the files of segments are used for, with a bar for each: of `stats` and of `compact`.

use std::cmp::Reverse;

use kinlog::retention::SegmentSpace;
use serde::Serialize;

use crate::failure::Failure;
use crate::ui::{self, Align, Output, Table};

/// So many are shown, unless all are asked for.
const SHOWN_MAX: usize = 16;

/// A segment, for scripts. What is live, dead, pinned, index and free adds up to the file.
#[derive(Serialize)]
pub(super) struct SegmentLine {
    segment: u32,
    file_bytes: u64,
    live_bytes: u64,
    dead_bytes: u64,
    pinned_bytes: u64,
    index_bytes: u64,
    free_bytes: u64,
    left_bytes: u64,
    rewritten: bool,
}

impl SegmentLine {
    pub(super) fn of(space: &SegmentSpace) -> Self {
        SegmentLine {
            segment: space.segment,
            file_bytes: space.file_bytes,
            live_bytes: space.live_bytes,
            dead_bytes: space.dead_bytes,
            pinned_bytes: space.pinned_bytes,
            index_bytes: space.index_bytes,
            free_bytes: space.free_bytes,
            left_bytes: space.left_bytes,
            rewritten: space.rewritten,
        }
    }
}

/// Prints segments, in order: all of them, or those of which most is dead, and one line for the others. `rewritten` says
/// what has become, or would become, of those that are marked so.
pub(super) fn print(
    segments: &[SegmentSpace],
    all: bool,
    rewritten: &str,
    out: &mut Output,
) -> Result<(), Failure> {
    if segments.is_empty() {
        return Ok(());
    }
    let numbers = ["SEGMENT", "FILE"].into_iter().chain(PARTS.map(|(title, ..)| title));
    let columns = numbers.map(|title| (title, Align::Right));
    let columns = columns.chain([("", Align::Whole), ("", Align::Left)]);
    let mut table = Table::new(columns).indent(2).spare([7, 5, 6, 1, 4]);
    let (shown, others): (Vec<_>, Vec<_>) = chosen(segments, all);
    for space in shown {
        let what = if space.rewritten {
            format!("{rewritten}, to {}", ui::bytes(space.left_bytes))
        } else {
            String::new()
        };
        table.row(row(space.segment.to_string(), space, what));
    }
    if !others.is_empty() {
        let name = format!("{} more", ui::count(others.len() as u64));
        table.row(row(name, &sum(others), "--all shows them".to_owned()));
    }
    if segments.len() > 1 {
        let cells = row("all".to_owned(), &sum(segments), String::new());
        table.row(cells.map(|cell| ui::bold(cell).to_string()));
    }
    table.print(out)?;
    let parts = PARTS.map(|(title, cell, _)| format!("{cell} {}", title.to_lowercase()));
    Ok(out.prose(2, ui::dim(parts.join("  ")))?)
}

/// Those that are shown, and the others; both in order.
fn chosen(segments: &[SegmentSpace], all: bool) -> (Vec<&SegmentSpace>, Vec<&SegmentSpace>) {
    if all || segments.len() <= SHOWN_MAX {
        return (segments.iter().collect(), vec![]);
    }
    let mut order: Vec<&SegmentSpace> = segments.iter().collect();
    order.sort_by_key(|it| Reverse((it.dead_bytes + it.pinned_bytes, it.segment)));
    let mut others = order.split_off(SHOWN_MAX);
    for some in [&mut order, &mut others] {
        some.sort_by_key(|it| it.segment);
    }
    (order, others)
}

fn row(name: String, space: &SegmentSpace, what: String) -> [String; 9] {
    let [live, dead, pinned, index, free] = PARTS.map(|(_, _, part)| ui::bytes(part(space)));
    [name, ui::bytes(space.file_bytes), live, dead, pinned, index, free, bar(space), what]
}

fn sum<'s>(segments: impl IntoIterator<Item = &'s SegmentSpace>) -> SegmentSpace {
    let mut sum = SegmentSpace::default();
    for space in segments {
        sum.file_bytes += space.file_bytes;
        sum.live_bytes += space.live_bytes;
        sum.dead_bytes += space.dead_bytes;
        sum.pinned_bytes += space.pinned_bytes;
        sum.index_bytes += space.index_bytes;
        sum.free_bytes += space.free_bytes;
    }
    sum
}

type Part = fn(&SegmentSpace) -> u64;

/// The parts of a file, in the order in which a bar has them, each with its cell.
const PARTS: [(&str, char, Part); 5] = [
    ("LIVE", '█', |it| it.live_bytes),
    ("DEAD", '░', |it| it.dead_bytes),
    ("PINNED", '▓', |it| it.pinned_bytes),
    ("INDEX", '▪', |it| it.index_bytes),
    ("FREE", '·', |it| it.free_bytes),
];

/// The cells of a bar.
const BAR: u64 = 24;

/// What a file is used for, in as many cells for each file.
fn bar(space: &SegmentSpace) -> String {
    let (mut bar, mut upto, mut cells) = (String::new(), 0, 0);
    for (_, cell, part) in PARTS {
        upto += part(space);
        // Rounded where a part ends, so that all of them fill the bar.
        let end = (upto * BAR + space.file_bytes / 2).checked_div(space.file_bytes);
        let end = end.unwrap_or_default();
        bar.extend((cells..end).map(|_| cell));
        cells = end;
    }
    bar
}

#[cfg(test)]
mod tests {
    use kinlog::retention::SegmentSpace;

    use super::{BAR, bar, chosen, sum};

    fn space(segment: u32, parts: [u64; 5]) -> SegmentSpace {
        let mut space = SegmentSpace::default();
        space.segment = segment;
        [
            space.live_bytes,
            space.dead_bytes,
            space.pinned_bytes,
            space.index_bytes,
            space.free_bytes,
        ] = parts;
        space.file_bytes = parts.iter().sum();
        space
    }

    #[test]
    fn a_bar_is_filled_by_the_parts_of_the_file() {
        assert_eq!(bar(&space(0, [12, 6, 3, 1, 2])), "████████████░░░░░░▓▓▓▪··");
        assert_eq!(bar(&space(0, [1, 0, 0, 0, 1_000_000])), "·".repeat(24));
        assert_eq!(bar(&space(0, [7, 7, 7, 7, 7])).chars().count() as u64, BAR);
        assert_eq!(bar(&space(0, [0; 5])), "");
    }

    #[test]
    fn those_of_which_most_is_dead_are_shown_and_the_others_are_summed_up() {
        let dead = |segment: u32| u64::from(segment % 10);
        let all: Vec<_> = (0..100).map(|it| space(it, [1, dead(it), 0, 4, 0])).collect();
        let (shown, others) = chosen(&all, false);
        let numbers: Vec<_> = shown.iter().map(|it| it.segment).collect();
        let most = [9, 19, 29, 39, 48, 49, 58, 59, 68, 69, 78, 79, 88, 89, 98, 99];
        assert_eq!(numbers, most);
        assert_eq!(shown.len() + others.len(), 100);
        let parts = [sum(shown).file_bytes, sum(others).file_bytes];
        assert_eq!(parts.iter().sum::<u64>(), sum(&all).file_bytes);
        assert_eq!(chosen(&all, true).0.len(), 100);
    }
}
