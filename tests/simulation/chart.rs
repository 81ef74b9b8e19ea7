//! The chart: panels of lines, as SVG.

use std::fmt::Write;

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 340.0;
const PANEL: f64 = WIDTH / 2.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 46.0;
/// Told apart by the colour-blind too (Okabe and Ito).
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) x_label: &'static str,
    /// Values and their labels, in order; the first and the last are the ends of the axis.
    pub(crate) x_ticks: Vec<(f64, String)>,
    pub(crate) y_ticks: Vec<(f64, String)>,
    pub(crate) is_log: bool,
    pub(crate) lines: Vec<(&'static str, Vec<(f64, f64)>)>,
}

/// The panels, side by side.
pub(crate) fn svg(panels: &[Panel]) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">"#
    )?;
    writeln!(out, r##"<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>"##)?;
    for (place, panel) in panels.iter().enumerate() {
        panel.draw(&mut out, PANEL * place as f64)?;
    }
    writeln!(out, "</svg>")?;
    Ok(out)
}

/// Where a value lies between the ends of an axis, from 0 to 1.
fn place(ticks: &[(f64, String)], is_log: bool, value: f64) -> f64 {
    let scale = |value: f64| if is_log { value.log10() } else { value };
    let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else {
        return 0.0;
    };
    let (first, last) = (scale(first.0), scale(last.0));
    ((scale(value) - first) / (last - first)).clamp(0.0, 1.0)
}

impl Panel {
    fn draw(&self, out: &mut String, offset: f64) -> std::fmt::Result {
        let x = |value| offset + LEFT + place(&self.x_ticks, false, value) * (PANEL - LEFT - RIGHT);
        let bottom = HEIGHT - BOTTOM;
        let y = |value| bottom - place(&self.y_ticks, self.is_log, value) * (bottom - TOP);
        let (left, right) = (offset + LEFT, offset + PANEL - RIGHT);
        writeln!(
            out,
            r#"<text x="{left:.0}" y="20" font-weight="bold">{}</text>"#,
            self.title
        )?;
        for (value, label) in &self.y_ticks {
            let at = y(*value);
            writeln!(out, r##"<path d="M{left:.0} {at:.1}H{right:.0}" stroke="#ddd"/>"##)?;
            writeln!(
                out,
                r#"<text x="{:.0}" y="{:.1}" text-anchor="end">{label}</text>"#,
                left - 6.0,
                at + 4.0
            )?;
        }
        for (value, label) in &self.x_ticks {
            let at = x(*value);
            writeln!(
                out,
                r#"<text x="{at:.1}" y="{:.0}" text-anchor="middle">{label}</text>"#,
                bottom + 18.0
            )?;
        }
        let middle = f64::midpoint(left, right);
        let under = HEIGHT - 10.0;
        writeln!(
            out,
            r#"<text x="{middle:.0}" y="{under:.0}" text-anchor="middle">{}</text>"#,
            self.x_label
        )?;
        for (number, ((name, points), colour)) in self.lines.iter().zip(COLOURS).enumerate() {
            let key = 38.0 + 16.0 * number as f64;
            let beside = left + 26.0;
            let text = key + 4.0;
            writeln!(
                out,
                r#"<path d="M{left:.0} {key:.0}h20" stroke="{colour}" stroke-width="2"/>"#
            )?;
            writeln!(out, r#"<text x="{beside:.0}" y="{text:.0}">{name}</text>"#)?;
            let path = points.iter().enumerate().map(|(number, (at, value))| {
                let command = if number == 0 { 'M' } else { 'L' };
                format!("{command}{:.1} {:.1}", x(*at), y(*value))
            });
            let path = path.collect::<String>();
            writeln!(
                out,
                r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>"#
            )?;
        }
        Ok(())
    }
}
