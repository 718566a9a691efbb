//! How wide each column of a table is, and which give way when there is no room.

use ratatui::layout::Rect;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    #[default]
    Left,
    Right,
}

/// What a column asks for. Widths are terminal columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    pub title: String,
    /// Below this it is dropped rather than drawn.
    pub min: u16,
    /// What it takes when there is room.
    pub preferred: u16,
    /// Share of what is left over when all have what they prefer; 0 for none.
    pub flex: u16,
    pub align: Align,
    /// The highest goes first when the table is narrow; 0 stays.
    pub priority: u8,
}

impl Column {
    /// As wide as its title until told otherwise.
    pub fn new(title: impl Into<String>) -> Self {
        let title = title.into();
        let wide = u16::try_from(crate::domain::text::width(&title)).unwrap_or(u16::MAX);
        Column { title, min: wide, preferred: wide, ..Column::default() }
    }

    pub fn width(self, min: u16, preferred: u16) -> Self {
        Column { min, preferred: preferred.max(min), ..self }
    }

    pub fn flex(self, share: u16) -> Self {
        Column { flex: share, ..self }
    }

    pub fn right(self) -> Self {
        Column { align: Align::Right, ..self }
    }

    pub fn priority(self, priority: u8) -> Self {
        Column { priority, ..self }
    }
}

/// Where a column is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index into the given columns.
    pub column: usize,
    pub x: u16,
    pub width: u16,
    pub align: Align,
}

/// Empty columns between two.
const GAP: u32 = 2;

/// Drops what does not fit, gives each its minimum, then what it prefers, then a share of the rest.
pub(super) fn place(columns: &[Column], room: Rect) -> Vec<Place> {
    let kept = keep(columns, u32::from(room.width));
    let mut widths: Vec<u32> = kept.iter().map(|&index| u32::from(columns[index].min)).collect();
    let gaps = GAP * (kept.len().saturating_sub(1) as u32);
    let mut left = u32::from(room.width).saturating_sub(gaps + widths.iter().sum::<u32>());
    left -= grow_to_preferred(columns, &kept, &mut widths, left);
    share_out(columns, &kept, &mut widths, left);
    let mut x = u32::from(room.x);
    let right = u32::from(room.right());
    let mut places = Vec::with_capacity(kept.len());
    for (&column, &width) in kept.iter().zip(&widths) {
        let width = width.min(right.saturating_sub(x));
        if width > 0 {
            places.push(Place { column, x: x as u16, width: width as u16, align: columns[column].align });
        }
        x = (x + width + GAP).min(right);
    }
    places
}

/// Indices of the columns whose minimum fits, in their order.
fn keep(columns: &[Column], room: u32) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    loop {
        let gaps = GAP * (kept.len().saturating_sub(1) as u32);
        let needed: u32 = kept.iter().map(|&index| u32::from(columns[index].min)).sum::<u32>() + gaps;
        let first_to_go = kept
            .iter()
            .enumerate()
            .filter(|(_, index)| columns[**index].priority > 0)
            .max_by_key(|(_, index)| (columns[**index].priority, **index))
            .map(|(place, _)| place);
        match first_to_go {
            Some(place) if needed > room => kept.remove(place),
            _ => return kept,
        };
    }
}

/// Raises all widths alike towards what they prefer; gives what it used.
fn grow_to_preferred(columns: &[Column], kept: &[usize], widths: &mut [u32], room: u32) -> u32 {
    let wanted: Vec<u32> = kept
        .iter()
        .zip(&*widths)
        .map(|(&index, &width)| u32::from(columns[index].preferred) - width)
        .collect();
    let total: u32 = wanted.iter().sum();
    if total == 0 {
        return 0;
    }
    let given = room.min(total);
    let mut used = 0;
    for (width, want) in widths.iter_mut().zip(&wanted) {
        let more = (u64::from(*want) * u64::from(given) / u64::from(total)) as u32;
        *width += more;
        used += more;
    }
    used
}

fn share_out(columns: &[Column], kept: &[usize], widths: &mut [u32], room: u32) {
    let shares: u32 = kept.iter().map(|&index| u32::from(columns[index].flex)).sum();
    if shares == 0 {
        return;
    }
    let mut given = 0;
    let mut so_far = 0;
    for (width, &index) in widths.iter_mut().zip(kept) {
        so_far += u32::from(columns[index].flex);
        // By running total, so that rounding loses no column.
        let until = (u64::from(room) * u64::from(so_far) / u64::from(shares)) as u32;
        *width += until - given;
        given = until;
    }
}
