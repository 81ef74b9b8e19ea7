//! The bar chart: server CPU a request, of reads and of writes.

use std::fmt::Write;

use crate::report::Report;

const ROW: usize = 24;
const TOP: usize = 56;
/// Where the titles of the stacks end, and each of the two panels begins; how long the longest bar is.
const TITLES: usize = 302;
const PANELS: [usize; 2] = [312, 652];
const BAR: f64 = 250.0;

const STYLE: &str = "<style>
text { font: 12px sans-serif; fill: #1f2328 } .bar { fill: #8c959f } .ours { fill: #0969da } .range { stroke: #1f2328 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .range { stroke: #e6edf3 } .ours { fill: #4493f8 } }
</style>
";

pub(crate) fn svg(report: &Report) -> String {
    let stacks: Vec<_> = report.stacks().collect();
    let (height, connections) = (TOP + ROW * stacks.len() + 10, report.usual());
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 970 {height}\" role=\"img\">\n\
         <title>Server CPU a request by stack, {connections} connections</title>\n{STYLE}"
    );
    _ = writeln!(
        svg,
        "<text x=\"312\" y=\"18\">Server CPU a request in µs, {connections} connections; less is better</text>"
    );
    for (load, left) in ["read", "write"].into_iter().zip(PANELS) {
        let spreads: Vec<_> = stacks
            .iter()
            .map(|stack| report.spread(stack, load, connections, |cell| cell.cpu_micros))
            .collect();
        let most = spreads.iter().flatten().map(|it| it.max).fold(1.0, f64::max);
        let scale = |value: f64| value / most * BAR;
        _ = writeln!(svg, "<text x=\"{left}\" y=\"42\" font-weight=\"bold\">{load}</text>");
        for (row, (stack, spread)) in stacks.iter().zip(&spreads).enumerate() {
            let top = TOP + ROW * row;
            let (text, middle) = (top + 13, top + 9);
            if left == PANELS[0] {
                let title = stack.title.replace('&', "&amp;").replace('<', "&lt;");
                _ = writeln!(
                    svg,
                    "<text x=\"{TITLES}\" y=\"{text}\" text-anchor=\"end\">{title}</text>"
                );
            }
            let Some(spread) = spread else { continue };
            let class = if stack.title.starts_with("this") {
                "bar ours"
            } else {
                "bar"
            };
            let (width, left_edge) = (scale(spread.median), left as f64);
            let (from, to) = (left_edge + scale(spread.min), left_edge + scale(spread.max));
            let label = to + 6.0;
            _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width:.1}\" height=\"18\"/>"
            );
            _ = writeln!(
                svg,
                "<line class=\"range\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>"
            );
            _ = writeln!(svg, "<text x=\"{label:.1}\" y=\"{text}\">{:.1}</text>", spread.median);
        }
    }
    svg.push_str("</svg>\n");
    svg
}
