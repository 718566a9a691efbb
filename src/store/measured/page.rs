//! A page for Prometheus, in its text format (version 0.0.4).

use std::fmt::Write as _;

use super::meter::{BUCKETS, Meter};
use super::{ENDINGS, Place};

/// A page that grows family by family.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

/// One figure of a family, with the labels that tell it from the others.
pub type Sample<'a> = (&'a [(&'a str, &'a str)], f64);

impl Page {
    /// A family of gauges or counters; one without samples is left out.
    pub fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[Sample<'_>]) {
        if samples.is_empty() {
            return;
        }
        self.head(name, kind, help);
        for (labels, value) in samples {
            self.sample(name, labels, *value);
        }
    }

    /// What the meter knows of every operation.
    pub fn operations(&mut self, meter: &Meter) {
        let series = meter.series();
        if series.is_empty() {
            return;
        }
        let name = "labtop_operations_total";
        self.head(name, "counter", "Operations of the stores, by how they ended.");
        for ((place, operation), series) in &series {
            for (outcome, count) in ENDINGS.iter().zip(series.ended).filter(|(_, count)| *count > 0) {
                let labels = [&labels(place, operation)[..], &[("outcome", *outcome)]].concat();
                self.sample(name, &labels, count as f64);
            }
        }
        let name = "labtop_operation_duration_seconds";
        self.head(name, "histogram", "How long operations of the stores took that were waited for.");
        let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
        for ((place, operation), series) in &series {
            let labels = labels(place, operation);
            let mut so_far = 0;
            let bounds = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            for (bound, inside) in bounds.zip(series.buckets) {
                so_far += inside;
                let labels = [&labels[..], &[("le", bound.as_str())]].concat();
                self.sample(&bucket, &labels, so_far as f64);
            }
            self.sample(&sum, &labels, series.seconds);
            self.sample(&count, &labels, so_far as f64);
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {}", escaped(help, false));
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"{}\"", escaped(text, true));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn labels<'a>(place: &'a Place, operation: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("backend", place.backend.as_str()),
        ("role", place.role.as_str()),
        ("store", place.store),
        ("operation", operation),
    ]
}

/// As the format wants it: quotes are escaped in labels only.
fn escaped(text: &str, quotes: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes { text.replace('"', "\\\"") } else { text }
}
