//! Fewer points with the same outline: the smallest and the largest of each column stay, so that spikes survive.

/// `(x, y)`.
pub type Point = (f64, f64);

/// Keeps first, smallest, largest and last of each of `columns` equal parts of `low..=high`.
///
/// `points` rise in x. At most `4 * columns` come back, in order; points that are not finite are left out.
pub fn per_column(points: &[Point], low: f64, high: f64, columns: usize) -> Vec<Point> {
    places(points, low, high, columns).into_iter().map(|place| points[place]).collect()
}

/// As [`per_column`], but where the kept points stand.
fn places(points: &[Point], low: f64, high: f64, columns: usize) -> Vec<usize> {
    let finite =
        (0..points.len()).filter(|place| points[*place].0.is_finite() && points[*place].1.is_finite());
    if points.len() <= columns.saturating_mul(4) {
        return finite.collect();
    }
    let width = (high - low) / columns.max(1) as f64;
    let mut kept = Vec::with_capacity(columns * 4);
    let mut column: Option<Column> = None;
    for place in finite {
        let index = ((points[place].0 - low) / width).clamp(0.0, columns.saturating_sub(1) as f64) as usize;
        match &mut column {
            Some(current) if current.index == index => current.add(points, place),
            _ => {
                if let Some(done) = column.replace(Column::new(index, place)) {
                    done.give(&mut kept);
                }
            }
        }
    }
    if let Some(done) = column {
        done.give(&mut kept);
    }
    kept
}

/// Places of the points that stand for one column.
struct Column {
    index: usize,
    first: usize,
    smallest: usize,
    largest: usize,
    last: usize,
}

impl Column {
    fn new(index: usize, place: usize) -> Self {
        Column { index, first: place, smallest: place, largest: place, last: place }
    }

    fn add(&mut self, points: &[Point], place: usize) {
        if points[place].1 < points[self.smallest].1 {
            self.smallest = place;
        }
        if points[place].1 > points[self.largest].1 {
            self.largest = place;
        }
        self.last = place;
    }

    /// In order and each once.
    fn give(self, kept: &mut Vec<usize>) {
        let (one, two) = (self.smallest.min(self.largest), self.smallest.max(self.largest));
        for place in [self.first, one, two, self.last] {
            if kept.last() != Some(&place) {
                kept.push(place);
            }
        }
    }
}

/// A curve that grows while it is watched and never takes more memory than its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    points: Vec<Point>,
    /// When each point was recorded, seconds since 1970.
    times: Vec<f64>,
    limit: usize,
    /// Points that were no numbers and went when the series was thinned.
    dropped: usize,
}

/// More than four points for each dot of the widest screen; 256 KiB.
pub const POINTS_KEPT: usize = 16_384;

impl Default for Series {
    fn default() -> Self {
        Series::new(POINTS_KEPT)
    }
}

impl Series {
    /// Keeps at most `limit` points (at least 16).
    pub fn new(limit: usize) -> Self {
        Series { points: Vec::new(), times: Vec::new(), limit: limit.max(16), dropped: 0 }
    }

    /// Adds a point that was recorded at `time` (seconds since 1970); one with the same x is replaced, so that telling
    /// a point twice changes nothing.
    pub fn push(&mut self, x: f64, y: f64, time: f64) {
        if !x.is_finite() {
            return;
        }
        match self.points.last() {
            Some(last) if last.0 >= x => self.insert(x, y, time),
            _ => {
                self.points.push((x, y));
                self.times.push(time);
            }
        }
        if self.points.len() > self.limit {
            self.thin();
        }
    }

    /// In rising x; y may be NaN.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// When each of [`Series::points`] was recorded, seconds since 1970.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// The points over the time since `origin` (seconds since 1970), in rising time.
    pub fn since(&self, origin: f64) -> Vec<Point> {
        let pairs = self.times.iter().zip(&self.points);
        let mut points: Vec<Point> = pairs.map(|(time, (_, y))| (time - origin, *y)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    }

    /// Values that are NaN or infinite.
    pub fn not_finite(&self) -> usize {
        self.dropped + self.points.iter().filter(|(_, y)| !y.is_finite()).count()
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    pub fn last(&self) -> Option<Point> {
        self.points.last().copied()
    }

    fn insert(&mut self, x: f64, y: f64, time: f64) {
        let place = self.points.partition_point(|point| point.0 < x);
        match self.points.get_mut(place) {
            Some(point) if point.0 == x => {
                point.1 = y;
                self.times[place] = time;
            }
            _ => {
                self.points.insert(place, (x, y));
                self.times.insert(place, time);
            }
        }
    }

    /// To half the limit, so that it is done once in many points.
    fn thin(&mut self) {
        let (Some(first), Some(last)) = (self.points.first(), self.points.last()) else {
            return;
        };
        let kept = places(&self.points, first.0, last.0, self.limit / 8);
        self.dropped = self.not_finite();
        self.points = kept.iter().map(|place| self.points[*place]).collect();
        self.times = kept.iter().map(|place| self.times[*place]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_spike_survives() {
        let mut points: Vec<Point> = (0..10_000).map(|x| (f64::from(x), 0.5)).collect();
        points[4321].1 = 9.0;
        points[8765].1 = -9.0;
        let thinned = per_column(&points, 0.0, 9_999.0, 50);
        assert!(thinned.len() <= 200);
        assert!(thinned.contains(&(4321.0, 9.0)) && thinned.contains(&(8765.0, -9.0)));
        assert_eq!((thinned.first(), thinned.last()), (points.first(), points.last()));
    }

    #[test]
    fn few_points_stay_but_for_those_that_are_no_numbers() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, 2.0)];
        assert_eq!(per_column(&points, 0.0, 3.0, 10), [(0.0, 1.0), (3.0, 2.0)]);
    }

    #[test]
    fn a_growing_series_keeps_its_spikes_and_its_limit() {
        let mut series = Series::new(256);
        for x in 0..100_000 {
            series.push(f64::from(x), if x == 777 { 5.0 } else { 1.0 }, f64::from(x));
            assert!(series.points().len() <= 256);
        }
        assert!(series.points().contains(&(777.0, 5.0)));
        assert_eq!(series.last(), Some((99_999.0, 1.0)));
    }

    #[test]
    fn a_point_told_twice_or_late_finds_its_place() {
        let mut series = Series::default();
        for (x, y) in [(1.0, 0.1), (3.0, 0.3), (2.0, 0.2), (3.0, 0.35)] {
            series.push(x, y, 10.0 + x);
        }
        assert_eq!(series.since(10.0), series.points());
        assert_eq!(series.points(), [(1.0, 0.1), (2.0, 0.2), (3.0, 0.35)]);
    }

    proptest! {
        #[test]
        fn the_extremes_stay(values in prop::collection::vec(-1e6f64..1e6, 1..2_000), columns in 1usize..60) {
            let points: Vec<Point> = values.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect();
            let thinned = per_column(&points, 0.0, (values.len() - 1) as f64, columns);
            prop_assert!(thinned.len() <= columns * 4);
            prop_assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
            let largest = values.iter().copied().fold(f64::MIN, f64::max);
            let smallest = values.iter().copied().fold(f64::MAX, f64::min);
            prop_assert!(thinned.iter().any(|point| point.1 == largest));
            prop_assert!(thinned.iter().any(|point| point.1 == smallest));
        }
    }
}
