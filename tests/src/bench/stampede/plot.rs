//! Two rows of bars as an SVG: loads an expiry beside theory, and what reads waited. A few lines of our own: a plotting crate brings
//! fonts and colours that a bar on a logarithmic axis does not need.

use std::fmt::Write;

use super::judge::Verdict;
use super::side::Side;

const LEFT: f64 = 150.0;
const WIDE: f64 = 460.0;
const ROW: f64 = 44.0;
const BAR: f64 = 13.0;

/// A logarithmic axis from one power of ten to another.
struct Axis {
    title: &'static str,
    powers: std::ops::RangeInclusive<i32>,
}

impl Axis {
    fn x(&self, value: f64) -> f64 {
        let (from, to) = (f64::from(*self.powers.start()), f64::from(*self.powers.end()));
        LEFT + WIDE * ((value.max(1e-9).log10() - from) / (to - from)).clamp(0.0, 1.0)
    }
}

pub(super) fn draw(verdicts: &[(Side, Verdict)]) -> String {
    let loads = Axis { title: "loads an expiry (the line: theory)", powers: -1..=3 };
    let waits = Axis { title: "milliseconds from when a read was due: p50, p99, max", powers: -2..=3 };
    let high = 60.0 + ROW * verdicts.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"700\" height=\"{:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        2.0 * high + 10.0
    );
    frame(&mut svg, &loads, 0.0, verdicts);
    frame(&mut svg, &waits, high, verdicts);
    for (row, (side, verdict)) in (0..).map(f64::from).zip(verdicts) {
        let top = 45.0 + ROW * row;
        bar(&mut svg, &loads, top + BAR / 2.0, verdict.loads, "#2f6f9f", &format!("{:.2}", verdict.loads));
        let x = loads.x(side.loads_in_theory());
        let (from, to) = (top, top + 2.0 * BAR);
        put(
            &mut svg,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\" stroke=\"#c03\" stroke-width=\"2\"/>"
            ),
        );
        let waited = [(verdict.p50, "#9fc5e8"), (verdict.p99, "#2f6f9f"), (verdict.max, "#888")];
        for (place, (value, colour)) in (0..).map(f64::from).zip(waited) {
            let label = format!("{value:.2}");
            bar(&mut svg, &waits, high + top - 5.0 + BAR * place, value, colour, &label);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn frame(svg: &mut String, axis: &Axis, top: f64, verdicts: &[(Side, Verdict)]) {
    let bottom = top + 40.0 + ROW * verdicts.len() as f64;
    put(
        svg,
        format_args!("<text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>", top + 18.0, axis.title),
    );
    for power in axis.powers.clone() {
        let (x, value) = (axis.x(10_f64.powi(power)), 10_f64.powi(power));
        let (from, label) = (top + 36.0, top + 33.0);
        put(
            svg,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.0}\" y2=\"{bottom:.0}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{label:.0}\" text-anchor=\"middle\" fill=\"#666\">{value}</text>"
            ),
        );
    }
    for (row, (side, _)) in (0..).map(f64::from).zip(verdicts) {
        let y = top + 45.0 + ROW * row + BAR + 4.0;
        put(
            svg,
            format_args!(
                "<text x=\"{:.0}\" y=\"{y:.0}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                side.name()
            ),
        );
    }
}

fn bar(svg: &mut String, axis: &Axis, y: f64, value: f64, colour: &str, label: &str) {
    let end = axis.x(value);
    put(
        svg,
        format_args!(
            "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"11\">{label}</text>",
            end - LEFT,
            BAR - 2.0,
            end + 5.0,
            y + BAR - 3.0
        ),
    );
}

fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(svg, "{line}").expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_logarithmic_and_keeps_what_is_off_it_at_its_ends() {
        let axis = Axis { title: "", powers: 0..=2 };
        let places = [0.0, 1.0, 10.0, 100.0, 1e9].map(|value| axis.x(value));
        assert_eq!(places, [LEFT, LEFT, LEFT + WIDE / 2.0, LEFT + WIDE, LEFT + WIDE]);
    }
}
