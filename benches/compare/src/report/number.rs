//! Numbers as a reader wants them: three digits that matter.

use crate::stats::Spread;

pub const NOT_APPLICABLE: &str = "N/A";

pub fn number(value: f64) -> String {
    let (value, suffix) = match value.abs() {
        large if large >= 999_500.0 => (value / 1e6, " M"),
        large if large >= 9_995.0 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let decimals = match value.abs() {
        0.0 => 0,
        small if small < 0.0995 => 3,
        small if small < 9.995 => 2,
        small if small < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{suffix}")
}

/// A median, and in brackets the lowest and the highest.
pub fn spread(spread: &Spread) -> String {
    let Spread { median, min, max, count } = *spread;
    if count == 1 {
        return number(median);
    }
    format!("{} ({}–{})", number(median), number(min), number(max))
}

/// How many times as much.
pub fn ratio(ratio: Option<Spread>) -> String {
    ratio.map_or_else(|| NOT_APPLICABLE.to_owned(), |ratio| format!("×{}", number(ratio.median)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_matter() {
        let cases = [
            (0.0, "0"),
            (0.0123, "0.012"),
            (1.234, "1.23"),
            (12.34, "12.3"),
            (1234.0, "1234"),
            (12_340.0, "12.3 k"),
            (999_700.0, "1.00 M"),
            (3_210_000.0, "3.21 M"),
            (-1.5, "-1.50"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn one_value_has_no_spread() {
        let of = |values: &[f64]| spread(&Spread::of(values).unwrap());
        assert_eq!(of(&[2.0]), "2.00");
        assert_eq!(of(&[2.0, 1.0, 4.0]), "2.00 (1.00–4.00)");
    }
}
