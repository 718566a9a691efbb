//! The course of a run in a few numbers: where each curve began, ended, and how far it went.

/// What is kept of every curve, in the order in which the metrics first came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Course {
    curves: Vec<Curve>,
}

#[derive(Clone, Debug, PartialEq)]
struct Curve {
    name: String,
    points: u64,
    first: (i64, f64),
    last: (i64, f64),
    low: f64,
    high: f64,
}

impl Course {
    /// Adds one point; NaN and infinities are left out.
    pub(super) fn add(&mut self, name: &str, step: i64, value: f64) {
        if !value.is_finite() {
            return;
        }
        let point = (step, value);
        match self.curves.iter_mut().find(|curve| curve.name == name) {
            Some(curve) => {
                curve.points += 1;
                curve.last = point;
                curve.low = curve.low.min(value);
                curve.high = curve.high.max(value);
            }
            None => self.curves.push(Curve {
                name: name.to_owned(),
                points: 1,
                first: point,
                last: point,
                low: value,
                high: value,
            }),
        }
    }

    /// One clause for each metric, as in "accuracy rose from 0.5 at step 1 to 0.91 at step 30 (between 0.5 and 0.92)".
    pub(super) fn describe(&self) -> String {
        if self.curves.is_empty() {
            return "no metric was reported while it ran".to_owned();
        }
        self.curves.iter().map(Curve::describe).collect::<Vec<_>>().join("; ")
    }
}

impl Curve {
    fn describe(&self) -> String {
        let name = &self.name;
        let ((from_step, from), (to_step, to)) = (self.first, self.last);
        if self.points == 1 {
            return format!("{name} was {} at step {to_step}", number(to));
        }
        let moved = match to.total_cmp(&from) {
            std::cmp::Ordering::Greater => "rose",
            std::cmp::Ordering::Less => "fell",
            std::cmp::Ordering::Equal => "went",
        };
        format!(
            "{name} {moved} from {} at step {from_step} to {} at step {to_step} (between {} and {})",
            number(from),
            number(to),
            number(self.low),
            number(self.high)
        )
    }
}

/// Four digits after the point at most, fewer where they are zero; very small and very large ones in powers of ten.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e9).contains(&size) {
        return format!("{value:e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_reads_like_a_sentence() {
        let mut course = Course::default();
        for (step, value) in [(1, 0.5), (2, 0.925), (3, f64::NAN), (4, 0.91)] {
            course.add("accuracy", step, value);
        }
        course.add("loss", 1, 2e-5);
        assert_eq!(
            course.describe(),
            "accuracy rose from 0.5 at step 1 to 0.91 at step 4 (between 0.5 and 0.925); loss was 2e-5 at step 1"
        );
        assert_eq!(Course::default().describe(), "no metric was reported while it ran");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(120.0), "120");
        assert_eq!(number(-0.12345), "-0.1235");
        assert_eq!(number(0.000_02), "2e-5");
    }
}
