//! Medians, and ratios of figures that were taken in the same round.

/// The middle one of some values, or what lies between the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some((lower + upper) / 2.0)
}

/// The value that so many of a hundred are not above.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

/// A median, and how far the values lie apart.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub count: usize,
}

impl Spread {
    pub fn of(values: &[f64]) -> Option<Self> {
        let median = median(values)?;
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Spread { median, min, max, count: values.len() })
    }
}

/// Each round's value over that of the same round of something else: a disk that is slow for a
/// while is slow for both.
pub fn ratios(values: &[(u32, f64)], base: &[(u32, f64)]) -> Vec<f64> {
    let same = |round| base.iter().find(|(of, _)| *of == round).map(|(_, value)| *value);
    let ratio = |(round, value): &(u32, f64)| Some(value / same(*round)?);
    values.iter().filter_map(ratio).filter(|ratio| ratio.is_finite()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<_> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 99), Some(198.0));
        assert_eq!(percentile(&values[..1], 99), Some(200.0));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn a_spread_has_both_ends() {
        let spread = Spread::of(&[5.0, 1.0, 2.0]);
        assert_eq!(spread, Some(Spread { median: 2.0, min: 1.0, max: 5.0, count: 3 }));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let values = [(0, 10.0), (1, 40.0), (2, 7.0)];
        let base = [(1, 4.0), (0, 5.0), (3, 1.0)];
        assert_eq!(ratios(&values, &base), [2.0, 10.0]);
        assert_eq!(ratios(&[(0, 1.0)], &[(0, 0.0)]), [0.0; 0]);
    }
}
