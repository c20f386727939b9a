//! Samples, percentiles, and the lines they are told in.

use std::time::Duration;

use crate::json::Object;

/// Durations of one thing, measured many times.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Duration>);

impl Samples {
    pub(super) fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// How many took at least this long.
    pub(super) fn over(&self, limit: Duration) -> usize {
        self.0.iter().filter(|sample| **sample >= limit).count()
    }

    /// The smallest sample that at least this share of them do not exceed, in milliseconds; 0 to 1.
    pub(super) fn percentile(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let place = (self.0.len() as f64 * share).ceil() as usize;
        let sample = self.0.get(place.saturating_sub(1)).copied().unwrap_or_default();
        sample.as_secs_f64() * 1e3
    }
}

/// The unit of a gain: its target is the least that it should be.
pub(super) const TIMES: &str = "x";

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The benchmark.
    pub bench: &'static str,
    /// What was measured.
    pub case: &'static str,
    /// Which side, and which figure of it.
    pub side: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Value over that of the other side.
    pub ratio: Option<f64>,
    /// What it should not exceed, or, as a gain, reach.
    pub target: Option<f64>,
}

impl Line {
    /// Whether the target is met.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        self.target.map(|target| if self.unit == TIMES { self.value >= target } else { self.value <= target })
    }

    /// One JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut fields = Object::default();
        fields.text("bench", self.bench);
        fields.text("case", self.case);
        fields.text("side", self.side);
        fields.number("value", format_args!("{:.4}", self.value));
        fields.text("unit", self.unit);
        fields.perhaps("ratio", self.ratio.map(|ratio| format!("{ratio:.3}")));
        fields.perhaps("target", self.target);
        fields.perhaps("met", self.met());
        fields.end()
    }

    pub(super) fn to_row(&self) -> String {
        let Self { case, side, value, unit, .. } = self;
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let target = match (self.target, self.met()) {
            (Some(target), Some(true)) => format!("{}: met", told(target, unit)),
            (Some(target), _) => {
                let by = (self.value - target).abs();
                format!("{}: missed by {by:.2}", told(target, unit))
            }
            _ => String::new(),
        };
        let digits = match *unit {
            "ms" => 3,
            "n" | "/s" => 0,
            _ => 2,
        };
        format!("{case:<18}{side:<16}{value:>11.digits$} {unit:<4}{ratio:>8}  {target}").trim_end().to_owned()
            + "\n"
    }
}

/// A target in as many digits as say something.
fn told(target: f64, unit: &str) -> String {
    let target = (target * 1e3).round() / 1e3;
    format!("{target} {unit}").trim_end().to_owned()
}

/// The lines of two sides that were measured in turns: figures of each, their ratios, and what the second adds.
pub(super) fn compared(
    bench: &'static str,
    case: &'static str,
    bare: &mut Samples,
    cached: &mut Samples,
    targets: [Option<f64>; 2],
) -> Vec<Line> {
    let line = |side, value, ratio, target| Line { bench, case, side, value, unit: "ms", ratio, target };
    let mut lines = Vec::new();
    let sides = [
        (0.5, ["bare p50", "cached p50", "added p50"], targets[0]),
        (0.99, ["bare p99", "cached p99", "added p99"], targets[1]),
    ];
    for (share, [bare_side, cached_side, added_side], target) in sides {
        let (one, other) = (bare.percentile(share), cached.percentile(share));
        lines.push(line(bare_side, one, None, None));
        lines.push(line(cached_side, other, Some(other / one), None));
        lines.push(line(added_side, other - one, None, target));
    }
    lines.push(line("bare max", bare.percentile(1.0), None, None));
    lines.push(line("cached max", cached.percentile(1.0), None, None));
    let samples = cached.count() as f64;
    lines.push(Line { bench, case, side: "samples", value: samples, unit: "n", ratio: None, target: None });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(millis: impl IntoIterator<Item = u64>) -> Samples {
        Samples(millis.into_iter().map(Duration::from_millis).collect())
    }

    #[test]
    fn percentiles_are_samples() {
        let mut hundred = samples((1..=100).rev());
        let figures = [0.5, 0.99, 1.0, 0.0].map(|share| hundred.percentile(share));
        assert_eq!(figures, [50.0, 99.0, 100.0, 1.0]);
        assert_eq!(hundred.over(Duration::from_millis(91)), 10);
        assert_eq!(samples([7]).percentile(0.99), 7.0);
        assert_eq!(samples([]).percentile(0.5), 0.0);
    }

    #[test]
    fn a_comparison_tells_ratio_difference_and_target() {
        let lines = compared("b", "c", &mut samples([2; 10]), &mut samples([3; 10]), [Some(0.5), Some(1.0)]);
        let of = |side| lines.iter().find(|line| line.side == side).unwrap();
        assert_eq!(of("cached p50").ratio, Some(1.5));
        assert_eq!((of("added p50").value, of("added p50").met()), (1.0, Some(false)));
        assert_eq!((of("added p99").value, of("added p99").met()), (1.0, Some(true)));
        assert_eq!(
            of("added p99").to_json(),
            r#"{"bench":"b","case":"c","side":"added p99","value":1.0000,"unit":"ms","ratio":null,"target":1,"met":true}"#
        );
        assert!(of("added p50").to_row().ends_with("0.5 ms: missed by 0.50\n"));
    }

    #[test]
    fn a_gain_has_a_least() {
        let gain = |value| Line {
            bench: "b",
            case: "c",
            side: "s",
            value,
            unit: TIMES,
            ratio: None,
            target: Some(10.0),
        };
        assert_eq!((gain(10.0).met(), gain(9.5).met()), (Some(true), Some(false)));
        assert!(gain(9.5).to_row().ends_with("10 x: missed by 0.50\n"));
    }
}
