//! Small pieces that several screens share.

pub mod cursor;
pub mod footer;
pub mod input;
pub mod notice;
pub mod number;
pub mod pane;
pub mod prose;
pub mod query_line;
pub mod sheet;
pub mod statusbar;
pub mod tabbar;
pub mod table;
pub mod toast;
