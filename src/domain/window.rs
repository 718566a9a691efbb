//! Where a window of rows stands in an ordered list that may change while one looks.

use jiff::Timestamp;

use super::experiment::ExperimentId;

/// The place of one row in an order: its value, then its id. Rows without a value, and those that failed, come last
/// whichever the direction; among equal ones the newest comes first.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Failed, cancelled or interrupted; always false in the order by id.
    pub failed: bool,
    /// None where the row has no value, and in the order by id.
    pub value: Option<SortValue>,
    pub id: ExperimentId,
}

impl Key {
    /// In the order by id.
    pub fn of_id(id: ExperimentId) -> Self {
        Key { failed: false, value: None, id }
    }
}

/// What rows are ordered by. Numbers come before texts where one parameter has both.
#[derive(Clone, Debug, PartialEq)]
pub enum SortValue {
    Integer(i64),
    Number(f64),
    Text(String),
    Moment(Timestamp),
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Window {
    /// From the top.
    #[default]
    First,
    /// Up to the end.
    Last,
    /// What follows a key, whether or not its row is still there.
    After(Key),
    /// What precedes a key.
    Before(Key),
    /// The row of that id where it stands now, in the middle; without it, the place where it stood.
    Around(Key),
    /// From the row of that number, counted from 0: for a jump to a place that nothing is known of.
    At(u64),
}
