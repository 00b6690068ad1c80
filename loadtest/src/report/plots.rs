//! The plots of the page, as SVG.
//!
//! Owns axes and colours. May not compute: it draws what `Measured` holds. Called by `html`.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// Width and height of every plot; the page scales them.
const SIZE: (u32, u32) = (900, 280);
/// The colours of the lines, as the page's legend names them.
pub const COLORS: [(&str, RGBColor); 3] = [
    ("#1f6feb", RGBColor(0x1f, 0x6f, 0xeb)),
    ("#d1242f", RGBColor(0xd1, 0x24, 0x2f)),
    ("#6e7781", RGBColor(0x6e, 0x77, 0x81)),
];

/// One line of a plot.
pub struct Line {
    /// Its place in [`COLORS`].
    pub color: usize,
    /// Ascending in x.
    pub points: Vec<(f64, f64)>,
}

/// What the axes say.
pub struct Axes<'a> {
    /// Below.
    pub x: &'a str,
    /// Beside.
    pub y: &'a str,
    /// How a place on the x axis is told.
    pub tell_x: fn(&f64) -> String,
    /// Whether the y axis is logarithmic.
    pub log: bool,
    /// A stretch of x to be shaded: the spike.
    pub shade: Option<(f64, f64)>,
}

/// Draws the lines over common axes. Empty when there is nothing to draw.
pub fn draw(axes: &Axes<'_>, lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|line| line.points.iter());
    let x = all().map(|point| point.0).fold(0.0, f64::max);
    let y = all().map(|point| point.1).fold(0.0, f64::max);
    let low = all().map(|point| point.1).filter(|y| *y > 0.0).fold(f64::INFINITY, f64::min);
    if x <= 0.0 || y <= 0.0 {
        return String::new();
    }
    let mut svg = String::new();
    let drawn = match axes.log {
        // An even decade at both ends.
        true => {
            let (low, high) =
                (10_f64.powf(low.log10().floor()), 10_f64.powf(y.log10().ceil().max(low.log10() + 1.0)));
            plot(&mut svg, axes, lines, x, (low..high).log_scale())
        }
        false => plot::<std::ops::Range<f64>, RangedCoordf64>(&mut svg, axes, lines, x, 0.0..y * 1.08),
    };
    // Writing into a string does not fail; a plot that cannot be drawn is left out.
    if drawn.is_ok() { scalable(&svg) } else { String::new() }
}

fn plot<R, C>(
    svg: &mut String,
    axes: &Axes<'_>,
    lines: &[Line],
    x: f64,
    y: R,
) -> Result<(), Box<dyn std::error::Error>>
where
    R: AsRangedCoord<Value = f64, CoordDescType = C> + Clone,
    C: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..x, y)?;
    if let Some((from, to)) = axes.shade {
        let (top, bottom) = {
            let area = chart.plotting_area();
            let range = area.get_y_range();
            (range.end, range.start)
        };
        let shade = RGBColor(0xff, 0xd8, 0x66).mix(0.35).filled();
        chart.draw_series([Rectangle::new([(from, bottom), (to, top)], shade)])?;
    }
    chart
        .configure_mesh()
        .light_line_style(WHITE.mix(0.0))
        .bold_line_style(BLACK.mix(0.08))
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_label_formatter(&axes.tell_x)
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 13))
        .draw()?;
    for line in lines {
        let style = COLORS[line.color].1.stroke_width(2);
        chart.draw_series(LineSeries::new(line.points.iter().copied(), style))?;
    }
    root.present()?;
    Ok(())
}

/// A number as an axis shows it.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{}M", value / 1e6),
        size if size >= 1e4 => format!("{}k", value / 1e3),
        size if size >= 1.0 || size == 0.0 => format!("{}", (value * 10.0).round() / 10.0),
        _ => format!("{value:.3}").trim_end_matches('0').to_owned(),
    }
}

/// Lets the page choose the width.
fn scalable(svg: &str) -> String {
    let (width, height) = SIZE;
    svg.replacen(&format!("width=\"{width}\" height=\"{height}\""), "width=\"100%\"", 1)
}
