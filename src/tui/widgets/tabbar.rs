//! The names of the tabs at the top of the screen, as long as there is room for.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::domain::text::width;
use crate::tui::theme::Theme;

/// Between two names.
const GAP: u16 = 2;

const BRAND: &str = " labtop ";

/// How much of the names is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Branded,
    Named,
    /// Only the active tab's name in full.
    Short,
}

/// Laid out for a width; the same for drawing and for clicks.
#[derive(Clone, Debug, PartialEq)]
pub struct TabBar {
    entries: Vec<Entry>,
    branded: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    x: u16,
    number: String,
    name: String,
    active: bool,
}

impl Entry {
    fn end(&self) -> u16 {
        self.x + columns(&self.number) + 1 + columns(&self.name)
    }
}

impl TabBar {
    /// The longest form that fits into `room` columns.
    pub fn lay(titles: &[&str], active: usize, room: u16) -> Self {
        let forms = [Form::Branded, Form::Named, Form::Short];
        let bars = forms.map(|form| TabBar::in_form(titles, active, form));
        let [.., shortest] = &bars;
        bars.iter().find(|bar| bar.width() <= room).unwrap_or(shortest).clone()
    }

    fn in_form(titles: &[&str], active: usize, form: Form) -> Self {
        let branded = form == Form::Branded;
        let mut x = if branded { columns(BRAND) } else { 0 } + 1;
        let mut entries = Vec::with_capacity(titles.len());
        for (index, title) in titles.iter().enumerate() {
            let short = form == Form::Short && index != active;
            let name: String = if short { title.chars().take(3).collect() } else { (*title).to_owned() };
            let entry = Entry { x, number: (index + 1).to_string(), name, active: index == active };
            x = entry.end() + GAP;
            entries.push(entry);
        }
        TabBar { entries, branded }
    }

    /// Columns it takes.
    pub fn width(&self) -> u16 {
        self.entries.last().map_or(0, Entry::end)
    }

    /// The tab under a column.
    pub fn at(&self, column: u16) -> Option<usize> {
        self.entries.iter().position(|entry| (entry.x..entry.end()).contains(&column))
    }

    pub fn draw(&self, area: Rect, buffer: &mut Buffer, theme: &Theme) {
        let area = area.intersection(buffer.area);
        let room = |x: u16| usize::from(area.right().saturating_sub(x));
        if self.branded {
            buffer.set_stringn(area.x, area.y, BRAND, room(area.x), theme.focus.patch(theme.title));
        }
        for entry in &self.entries {
            let x = area.x + entry.x;
            let name = if entry.active { theme.focus.patch(theme.title) } else { theme.text };
            let number = if entry.active { name } else { theme.dim };
            buffer.set_stringn(x, area.y, &entry.number, room(x), number);
            let x = x + columns(&entry.number) + 1;
            buffer.set_stringn(x, area.y, &entry.name, room(x), name);
        }
    }
}

fn columns(text: &str) -> u16 {
    u16::try_from(width(text)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::charts::testing::text_of;

    const TITLES: [&str; 5] = ["Experiments", "Search", "Collections", "Analytics", "Activity"];

    fn drawn(room: u16) -> String {
        let area = Rect::new(0, 0, room, 1);
        let mut buffer = Buffer::empty(area);
        TabBar::lay(&TITLES, 2, room).draw(area, &mut buffer, &Theme::default());
        text_of(&buffer)
    }

    #[test]
    fn names_give_way() {
        assert_eq!(
            drawn(90),
            "  labtop  1 Experiments  2 Search  3 Collections  4 Analytics  5 Activity"
                .trim_start_matches(' ')
                .to_owned()
                .replacen("labtop", " labtop", 1)
        );
        assert_eq!(drawn(70), " 1 Experiments  2 Search  3 Collections  4 Analytics  5 Activity");
        assert_eq!(drawn(50), " 1 Exp  2 Sea  3 Collections  4 Ana  5 Act");
        assert_eq!(drawn(10), " 1 Exp  2");
    }

    #[test]
    fn a_click_finds_the_tab() {
        let bar = TabBar::lay(&TITLES, 2, 50);
        assert_eq!(bar.at(1), Some(0));
        assert_eq!(bar.at(6), None);
        assert_eq!(bar.at(20), Some(2));
        assert_eq!(bar.at(49), None);
    }
}
